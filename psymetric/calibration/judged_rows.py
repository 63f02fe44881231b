"""The door: a frame of verdicts, some with labels, as arrays of numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label, code_labels, plain
from psymetric.data.columns import code_weights, pick_columns
from psymetric.data.messages import counted, listing, row_error
from psymetric.errors import DataError

__all__ = ["Estimand", "JudgedRows", "label_numbers", "on_one_scale", "read_judged"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Estimand = Literal["mean", "difference", "win_rate"]

_WINS: Final[Mapping[Label, float]] = {"win": 1.0, "loss": 0.0, "tie": 0.5, "left": 1.0, "right": 0.0}
"""What words for the outcome of a comparison count for the one that is asked about: the left one."""


@final
@dataclass(frozen=True)
class JudgedRows:
    """R rows with a verdict.

    Attributes:
        judge: Verdicts, shape (R,).
        label: Labels, NaN in rows without, shape (R,).
        weight: How much rows count, shape (R,), or None.
        probability: Chance that a row has a label, shape (R,), or None; 1 in rows without a label.
        cluster: Codes of the clusters, shape (R,), or None.
        codes: Codes of the levels of `system` and `by`, where named, shape (R,) each.
        levels: The levels of both.
        values: The two values of labels, where there are no more.
        notes: What was left out, and what the numbers rest on.
    """

    judge: Array
    label: Array
    weight: Array | None
    probability: Array | None
    cluster: Codes | None
    codes: Mapping[str, Codes]
    levels: Mapping[str, tuple[Label, ...]]
    values: tuple[float, float] | None
    notes: tuple[str, ...]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Rows with a label, shape (R,)."""
        return np.isfinite(self.label)

    @property
    def hash(self) -> str:
        """SHA-256 of the rows in their order, as hex digits; does not depend on the names of columns."""
        digest = hashlib.sha256(f"psymetric:{type(self).__name__}:1".encode())
        digest.update(json.dumps(self.levels, sort_keys=True).encode())
        arrays = {"judge": self.judge, "label": self.label, "weight": self.weight, "probability": self.probability}
        for name, array in ({**arrays, "cluster": self.cluster} | dict(self.codes)).items():
            if array is not None:
                digest.update(name.encode() + b"\0" + array.astype("<f8").tobytes())
        return digest.hexdigest()

    def take(self, rows: NDArray[np.bool_]) -> JudgedRows:
        """Some of the rows."""
        picked = {
            name: None if (value := getattr(self, name)) is None else value[rows]
            for name in ("judge", "label", "weight", "probability", "cluster")
        }
        return replace(self, **picked, codes={name: code[rows] for name, code in self.codes.items()})


def read_judged(
    frame: Any,
    roles: Mapping[str, str | None],
    *,
    values: Mapping[Any, float] | None,
    estimand: Estimand,
    who: str,
) -> JudgedRows:
    """Rows with a verdict, as numbers.

    Args:
        frame: A pandas, Polars or Arrow table.
        roles: Columns by role: judge, label, system, by, cluster, probability, weight; None where there is none.
        values: What verdicts and labels count for, or None.
        estimand: What they are for: words of outcomes are known for win rates.
        who: Named in messages.

    Raises:
        DataError: Unknown columns, categories without a value, infinite numbers, no verdict or no label at all, labels
            that are all the same, chances of a label outside (0, 1].
    """
    columns = {role: column for role, column in roles.items() if column is not None}
    picked = pick_columns(frame, columns, who=who)
    words = _WINS if estimand == "win_rate" else None
    judge, label = (
        label_numbers(picked[role], columns[role], values, who=who, words=words) for role in ("judge", "label")
    )
    has = np.isfinite(judge)
    for what, found, column in (("verdict", has, columns["judge"]), ("label", np.isfinite(label), columns["label"])):
        if not found.any():
            raise DataError(f"{who}: column {column!r} holds no {what} in {counted(len(picked), 'row')}; name another")
    if not (has & np.isfinite(label)).any():
        raise DataError(f"{who}: no row has both a verdict ({columns['judge']!r}) and a label ({columns['label']!r})")
    if estimand == "win_rate" and (bad := _outside(judge) | _outside(label)).any():
        got = np.concatenate([judge[_outside(judge)], label[_outside(label)]]).tolist()
        raise row_error(who, "win rates count 1 a win, 0 a loss", bad, got, "map outcomes to [0, 1] by values=")
    kept = picked[has].reset_index(drop=True)
    codes, levels = {}, {}
    for role in ("system", "by", "cluster"):
        if role in columns:
            code, levels[role] = code_labels(kept[role], who=who, column=columns[role])
            codes[role] = code.astype(np.int64)
    cluster = codes.pop("cluster", None)
    known = np.isfinite(label[has])
    weight = kept["weight"] if "weight" in columns else None
    return JudgedRows(
        judge[has],
        label[has],
        None if weight is None else code_weights(weight, np.ones(len(kept), bool), who=who, column=columns["weight"]),
        _chances(kept["probability"], known, columns["probability"], who) if "probability" in columns else None,
        cluster,
        codes,
        {role: levels[role] for role in codes},
        _two_values(judge[has], label[has], columns["label"], who),
        tuple(_notes(judge, label, columns)),
    )


def _outside(values: Array) -> NDArray[np.bool_]:
    return (values < 0) | (values > 1)


def label_numbers(
    column: pd.Series[Any],
    name: str,
    values: Mapping[Any, float] | None,
    *,
    who: str,
    words: Mapping[Label, float] | None = None,
) -> Array:
    """What the cells of a column count for, NaN where they are empty, shape (R,).

    Args:
        column: Numbers, truth values or text.
        name: The user's name of the column, for messages.
        values: What each label counts for; None lets numbers count for themselves.
        who: Named in messages.
        words: What text counts for without `values`.

    Raises:
        DataError: Labels that have no value, or infinite numbers.
    """
    if values is None and pd.api.types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if (bad := np.isinf(numbers)).any():
            raise row_error(who, f"column {name!r} is infinite", bad, numbers[bad].tolist(), "give finite numbers")
        return numbers
    code, found = pd.factorize(column)
    labels = [plain(value) for value in found]
    table = {plain(key): float(value) for key, value in (words or {} if values is None else values).items()}
    alone = values is None
    counts = np.array([table.get(label, _itself(label) if alone else np.nan) for label in labels] + [np.nan])
    blank = np.array([isinstance(label, str) and not label.strip() for label in labels] + [True])
    if (odd := ~np.isfinite(counts) & ~blank).any():
        known = f"known are {listing(table)}" if table else "text counts for nothing by itself"
        got = [label for label, is_odd in zip(labels, odd[:-1], strict=True) if is_odd]
        fix = "say what each counts for, e.g. values={'yes': 1, 'no': 0}"
        raise row_error(who, f"column {name!r} holds categories without a value ({known})", odd[code], got, fix)
    return counts[code]


def _itself(label: Label | None) -> float:
    return np.nan if label is None or isinstance(label, str) else float(label)


def _chances(values: pd.Series[Any], known: NDArray[np.bool_], column: str, who: str) -> Array:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = known & ~((numbers > 0) & (numbers <= 1))
    if bad.any():
        fix = "give each labelled row the chance, above 0 and at most 1, that it had of being labelled"
        raise row_error(who, f"column {column!r} is no chance of a label", bad, values[bad].head(100).tolist(), fix)
    return np.where(known, numbers, 1.0)


def _two_values(judge: Array, label: Array, column: str, who: str) -> tuple[float, float] | None:
    """Lower and upper value, where labels have two at most."""
    own = np.unique(label[np.isfinite(label)])
    if len(own) > 2:
        return None
    both = own if len(own) == 2 else np.union1d(own, pd.unique(judge))
    if len(both) != 2:
        raise DataError(
            f"{who}: every label in column {column!r} is {own[0]:g}, and the verdicts have other values than two: how "
            "labels spread cannot be seen; label more rows"
        )
    return float(both[0]), float(both[1])


def on_one_scale(judge: Array, label: Array) -> bool:
    """Whether the ranges of verdicts and labels, of any number each, are alike enough to compare their means."""
    wide = float(np.ptp(judge)), float(np.ptp(label))
    return min(wide) == 0 or 0.5 <= wide[0] / wide[1] <= 2


def _notes(judge: Array, label: Array, columns: Mapping[str, str]) -> list[str]:
    notes: list[str] = []
    has, known = np.isfinite(judge), np.isfinite(label)
    if lost := int((~has).sum()):
        also = int((~has & known).sum())
        notes.append(
            f"{counted(lost, 'row')} without a verdict in {columns['judge']!r} left out, {also:,} of them labelled: "
            "harmless where verdicts fail at random, biased where they fail on hard rows."
        )
    ends = [(float(part.min()), float(part.max())) for part in (judge[has], label[known])]
    if not on_one_scale(judge[has], label[known]):
        (one, two), (three, four) = ends
        notes.append(
            f"Verdicts go from {one:g} to {two:g} and labels from {three:g} to {four:g}: on two scales judge_alone and "
            "bias say nothing; the estimate, on the scale of the labels, is unharmed."
        )
    return notes
