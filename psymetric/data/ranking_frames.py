"""Rankings as people store them: orderings, scores and best-worst choices, turned into one row per item shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.columns import pick_columns
from psymetric.data.messages import counted, listing, row_error
from psymetric.data.missing import answered_rows
from psymetric.data.nonresponse import NonResponse
from psymetric.data.ranking_rows import BEST_WORST
from psymetric.errors import DataError

__all__ = ["best_worst", "from_orderings", "from_scores"]


def from_orderings(
    df: Any,
    *,
    places: Sequence[str],
    shown: Sequence[Label] | None,
    task: str | None,
    own: Mapping[str, str],
    weight: str | None,
    who: str,
) -> pd.DataFrame:
    """The long frame behind `RankingTable.from_orderings`."""
    columns, picked, each = _wide(df, places, task, own, weight, {}, who=who, keyword="places")
    cells = picked[columns]
    filled = np.column_stack([answered_rows(cells[name]) for name in columns])
    late = np.any(~filled[:, :-1] & filled[:, 1:], axis=1).reshape(-1)
    if late.any():
        raise row_error(who, "an empty place comes before a filled one", late, [], "move the items up, or drop the row")
    row, place = np.nonzero(filled)
    items = pd.Series(cells.to_numpy(dtype=object)[row, place], dtype=object).infer_objects()
    long = each.iloc[row].reset_index(drop=True).assign(item=items, rank=place + 1.0)
    if shown is None:
        return long
    known = list(shown)
    foreign = ~items.isin(known).to_numpy(dtype=bool)
    if foreign.any():
        odd = np.bincount(row[foreign], minlength=len(picked)) > 0
        raise row_error(who, f"items are not among shown={listing(known)}", odd, items[foreign].tolist(), "add them")
    every = each.merge(pd.DataFrame({"item": known}), how="cross")
    return every.merge(long[[*each.columns, "item", "rank"]], how="left", on=[*each.columns, "item"])


def from_scores(
    df: Any,
    *,
    score: str,
    task: str,
    item: str,
    best: str,
    own: Mapping[str, str],
    weight: str | None,
    who: str,
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """The long frame behind `RankingTable.from_scores`, the rows without a score, and notes."""
    weights = {} if weight is None else {"weight": weight}
    picked = pick_columns(df, {"task": task, "item": item, **own, "score": score, **weights}, who=who)
    scored = answered_rows(picked["score"])
    numbers = pd.to_numeric(picked["score"].where(scored), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = scored & ~np.isfinite(numbers)
    if bad.any():
        got = picked["score"][bad].head(100).tolist()
        raise row_error(who, f"scores in column {score!r} are not numbers", bad, got, "give a finite number or nothing")
    keys = ["task", *own]
    alone = picked[scored].groupby(keys, sort=False, dropna=False)["item"].transform("size") < 2
    kept = picked[scored][~alone]
    if kept.empty:
        raise DataError(f"{who}: no list has two scores in {score!r}; there is nothing to compare, check task=.")
    sign = -1.0 if best == "highest" else 1.0
    long = kept.drop(columns="score").assign(rank=sign * numbers[kept.index]).reset_index(drop=True)
    lost = picked.loc[~scored, ["task", "item", *own]].assign(reason=NonResponse.missing.value).reset_index(drop=True)
    n_alone = int(alone.sum())
    why = (f"{counted(n_alone, 'list')} with a single score left out: one score ranks nothing.",) if n_alone else ()
    return long, lost, ("Places are the order of scores; equal scores are ties.", *why)


def best_worst(
    df: Any,
    *,
    shown: Sequence[str],
    best: str | None,
    worst: str | None,
    task: str | None,
    own: Mapping[str, str],
    weight: str | None,
    who: str,
) -> pd.DataFrame:
    """The long frame behind `RankingTable.best_worst`."""
    chosen = {name: column for name, column in {"best": best, "worst": worst}.items() if column is not None}
    if not chosen:
        raise DataError(f"{who}: name the column of the best item (best=), of the worst (worst=), or both.")
    columns, picked, each = _wide(df, shown, task, own, weight, chosen, who=who, keyword="shown")
    cells = picked[columns].to_numpy(dtype=object)
    filled = np.column_stack([answered_rows(picked[name]) for name in columns])
    if set(chosen) == {"best", "worst"}:
        both = answered_rows(picked["best"]) & (picked["best"] == picked["worst"]).to_numpy(dtype=bool)
        if both.any():
            got = picked["best"][both].head(100).tolist()
            raise row_error(who, "one item is both best and worst", both, got, "correct or empty one of the two")
    word = np.full(cells.shape, "", dtype=object)
    for name in chosen:
        asked = answered_rows(picked[name])
        hit: NDArray[np.bool_] = filled & (cells == picked[name].to_numpy(dtype=object)[:, None])
        foreign = asked & ~hit.any(axis=1)
        if foreign.any():
            got = picked[name][foreign].head(100).tolist()
            fix = "correct the choice, or name the columns of all items that were shown in shown="
            raise row_error(who, f"the {name} item was not shown", foreign, got, fix)
        word[hit] = name
    word[(word == "") & (word != "").any(axis=1, keepdims=True)] = BEST_WORST[1]
    row, place = np.nonzero(filled)
    items = pd.Series(cells[row, place], dtype=object).infer_objects()
    return each.iloc[row].reset_index(drop=True).assign(item=items, rank=word[row, place])


def _wide(
    df: Any,
    cells: Sequence[str],
    task: str | None,
    own: Mapping[str, str],
    weight: str | None,
    chosen: Mapping[str, str],
    *,
    who: str,
    keyword: str,
) -> tuple[list[str], pd.DataFrame, pd.DataFrame]:
    """Names of the item columns, the picked frame, and what belongs to each row as a whole."""
    named = [cells] if isinstance(cells, str) else list(cells)
    if len(named) < 2:
        raise DataError(
            f"{who}: {keyword}={named!r} names {counted(len(named), 'column')} of items; two are the least."
        )
    columns = [f"cell:{place}" for place in range(len(named))]
    roles = dict(zip(columns, named, strict=True)) | dict(chosen) | dict(own)
    roles |= {name: column for name, column in {"task": task, "weight": weight}.items() if column is not None}
    picked = pick_columns(df, roles, who=who)
    if task is None:
        picked = picked.assign(task=np.arange(len(picked)))
    return columns, picked, picked[["task", *own, *(["weight"] if weight is not None else [])]]
