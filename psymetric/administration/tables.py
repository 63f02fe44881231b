"""From the store to frames and tables: each plan row beside its answer, then coded for measurement."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np
import pandas as pd

from psymetric.administration.readout import read_reply
from psymetric.administration.records import reading_of
from psymetric.administration.store import Store
from psymetric.data.nonresponse import NonResponse
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError, DesignError
from psymetric.instruments.schema import Inventory, PairTask
from psymetric.instruments.scoring import recode
from psymetric.providers.replay import record_reply

if TYPE_CHECKING:
    from psymetric.administration.parsing import Reading
    from psymetric.design.plan import Plan
    from psymetric.providers.base import ModelEndpoint, Prompt

__all__ = ["AskablePlan", "answers_frame", "plan_id", "responses_frame", "to_table", "unique_keys"]

_STORED: Final = (
    "key", "final", "category", "reason", "detail", "distribution", "mass", "text", "finish_reason", "refusal",
    "prompt_tokens", "completion_tokens", "cost", "latency_s", "echoed_model", "asked_at", "parser",
)  # fmt: skip
_REPARSED: Final = ("logprobs", "request")
_FACETS: Final = ("template", "order", "label", "replacement", "occasion")
_OUTCOMES: Final = ("left", "right", "tie")
_TYPES: Final = {
    "category": "Int64", "reason": "str", "detail": "str", "distribution": "object", "mass": "Float64", "text": "str",
    "finish_reason": "str", "refusal": "str", "prompt_tokens": "Int64", "completion_tokens": "Int64",
    "cost": "Float64", "latency_s": "Float64", "echoed_model": "str", "asked_at": "object", "parser": "str",
    "attempts": "int64",
}  # fmt: skip


class AskablePlan(Protocol):
    """What administration needs of a plan."""

    @property
    def frame(self) -> pd.DataFrame:
        """One row per request, with the request key in column `key`."""
        ...

    def prompt(self, i: int) -> Prompt:
        """What row `i` asks."""
        ...

    def endpoint(self, i: int) -> ModelEndpoint:
        """Whom row `i` asks."""
        ...


def plan_id(keys: list[str]) -> str:
    """SHA-256 (hex) of the set of request keys: the same plan, whatever the order of its rows."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def responses_frame(store: str | Path, plan: AskablePlan, *, reparse: bool = False) -> pd.DataFrame:
    """The plan's rows with what is stored for each.

    Args:
        store: `sqlite:///run.db`, or a path.
        plan: The plan that was asked.
        reparse: Read the stored texts and log-probabilities again with this version's parser.

    Returns:
        The plan's columns and: `category` (code 0..K-1, or missing), `reason` (why there is no answer, a `NonResponse`
        value, or missing), `detail`, `distribution` (readout "logprob": probabilities of the K categories, or None),
        `mass` (what the labels held before renormalising), `text`, `finish_reason`, `refusal`, `prompt_tokens`,
        `completion_tokens`, `cost`, `latency_s` (seconds), `echoed_model`, `asked_at` (UTC), `parser`, `attempts`.
        Rows never asked have reason "budget" where the last run stopped at its budget, else "missing".

    Raises:
        StoreError: The store cannot be read.
        DesignError: Request keys repeat.
    """
    with Store(store, create=False) as opened:
        return answers_frame(opened, plan, reparse=reparse)


def answers_frame(store: Store, plan: AskablePlan, *, reparse: bool = False) -> pd.DataFrame:
    """As `responses_frame`, from a store that is open."""
    keys = unique_keys(plan)
    place = {key: i for i, key in enumerate(keys)}
    chosen: list[Mapping[str, Any] | None] = [None] * len(keys)
    attempts = [0] * len(keys)
    for row in store.rows((*_STORED, *(_REPARSED if reparse else ()))):
        at = place.get(row["key"])
        if at is not None:
            attempts[at] += 1
            held = chosen[at]
            if held is None or not held["final"]:
                chosen[at] = dict(row)
    event = store.last_event(plan_id(keys))
    unasked = NonResponse.budget if event is not None and event[1].get("stopped") == "budget" else NonResponse.missing
    records = [_record(row, plan, i, unasked, reparse) | {"attempts": attempts[i]} for i, row in enumerate(chosen)]
    columns = {name: pd.Series([r.get(name) for r in records], dtype=kind) for name, kind in _TYPES.items()}
    answers = pd.DataFrame(columns)
    answers["asked_at"] = pd.to_datetime(answers["asked_at"].astype("Float64"), unit="s", utc=True)
    return pd.concat([plan.frame.reset_index(drop=True), answers], axis=1)


def unique_keys(plan: AskablePlan) -> list[str]:
    """The plan's request keys.

    Raises:
        DesignError: There is no column `key`, a key repeats, or a column of the plan has the name of an answer's.
    """
    frame = plan.frame
    taken = sorted(set(frame.columns) & _TYPES.keys())
    if "key" not in frame.columns or taken:
        problem = f"has columns that answers need: {', '.join(taken)}" if taken else "has no column 'key'"
        raise DesignError(f"plan: its frame {problem}; make it with ps.plan(study)")
    repeated = frame["key"].duplicated(keep=False)
    if repeated.any():
        first = frame.loc[repeated, "key"].iloc[0]
        rows = [int(i) for i in (frame["key"] == first).to_numpy().nonzero()[0][:2]]
        raise DesignError(
            f"plan: {int(repeated.sum())} of {len(frame)} rows share a request key, first rows {rows[0]} "
            f"and {rows[1]}: they ask the same thing; make them different occasions or drop one"
        )
    return [str(key) for key in frame["key"]]


def _record(
    row: Mapping[str, Any] | None, plan: AskablePlan, i: int, unasked: NonResponse, reparse: bool
) -> dict[str, Any]:
    if row is None:
        return {"reason": unasked.value, "detail": "not asked", "distribution": None}
    reading = _read_again(row, plan, i) if reparse and row["final"] else reading_of(row)
    return dict(row) | {
        "category": reading.category,
        "reason": None if reading.reason is None else reading.reason.value,
        "detail": reading.detail or None,
        "distribution": None if reading.distribution is None else list(reading.distribution),
        "mass": reading.mass,
    }


def _read_again(row: Mapping[str, Any], plan: AskablePlan, i: int) -> Reading:
    return read_reply(plan.prompt(i), record_reply(row))


def to_table(
    plan: Plan, frame: pd.DataFrame, *, distribution: Literal["weights", "mode"] = "weights"
) -> ResponseTable | PairTable:
    """The table to measure from.

    Reverse-keyed items of an inventory are turned round, so that a high category always speaks for the trait. Rows
    without an answer go to `missing` with their reason. In a PairTable `left` is the text shown first, whatever the
    plan calls left, so that `BradleyTerry(position=True)` estimates the advantage of being shown first. `judge` is a
    facet of rubrics and pairs; template, order, label, replacement and occasion are where the plan varies them.

    Args:
        plan: The plan that was asked.
        frame: From `responses_frame` or `Responses.frame`; rows may have been left out.
        distribution: What to do with answers read as distributions. "weights" makes one row per category, weighted by
            its probability, so that an answer still counts as one. "mode" takes the likeliest category (the lowest of
            several), which throws the judge's uncertainty away.

    Raises:
        DataError: The frame is not one of this plan, or no row has an answer.
    """
    if distribution not in ("weights", "mode"):
        raise DataError(f"to_table: distribution must be 'weights' or 'mode', got {distribution!r}")
    _check_frame(plan, frame)
    rows = _expanded(frame, distribution)
    facets = [name for name in _FACETS if frame[name].nunique() > 1]
    if isinstance(plan.instrument, PairTask):
        return _pairs(rows, facets)
    return _ratings(plan, rows, facets)


def _check_frame(plan: Plan, frame: pd.DataFrame) -> None:
    lacking = [name for name in ("key", "category", "distribution", "reason", *_FACETS) if name not in frame.columns]
    if lacking:
        raise DataError(f"to_table: the frame has no column {lacking[0]!r}; pass responses_frame(store, plan)")
    strangers = ~frame["key"].isin(plan.frame["key"])
    if strangers.any():
        first = int(strangers.to_numpy().argmax())
        raise DataError(
            f"to_table: {int(strangers.sum())} of {len(frame)} rows are not of this plan, first at row {first}; "
            f"pass the frame of the plan that was asked"
        )
    answered = int(frame["reason"].isna().sum())
    if not answered:
        reasons = frame["reason"].value_counts()
        listed = ", ".join(f"{reason} {n}" for reason, n in reasons.items())
        raise DataError(f"to_table: none of {len(frame)} rows has an answer ({listed}); nothing can be measured")


def _expanded(frame: pd.DataFrame, distribution: str) -> pd.DataFrame:
    """One row per answer, or per category of an answer's distribution, with a column `weight`."""
    spread = frame["reason"].isna() & frame["category"].isna() & frame["distribution"].notna()
    plain = frame.loc[~spread].assign(weight=1.0)
    if not spread.any():
        return plain
    held = frame.loc[spread]
    if distribution == "mode":
        modes = pd.array([int(np.argmax(p)) for p in held["distribution"]], dtype="Int64")
        return pd.concat([plain, held.assign(category=modes, weight=1.0)]).sort_index()
    sizes = [len(p) for p in held["distribution"]]
    repeated = held.loc[held.index.repeat(sizes)]
    codes = pd.array(np.concatenate([np.arange(k) for k in sizes]), dtype="Int64")
    repeated = repeated.assign(category=codes, weight=np.concatenate([np.asarray(p) for p in held["distribution"]]))
    return pd.concat([plain, repeated.loc[repeated["weight"] > 0]]).sort_index(kind="stable")


def _ratings(plan: Plan, rows: pd.DataFrame, facets: list[str]) -> ResponseTable:
    instrument = plan.instrument
    if isinstance(instrument, PairTask):
        raise DataError("to_table: a pair task has no ratings")
    categories = instrument.response.categories
    answered = rows["category"].notna().to_numpy()
    codes = rows.loc[answered, "category"].to_numpy(dtype=np.int64)
    if isinstance(instrument, Inventory):
        keys = {item.id: item.key for item in instrument.items}
        codes = recode(codes, rows.loc[answered, "item"].map(keys).to_numpy(dtype=np.int64), len(categories))
    scores = pd.array([pd.NA] * len(rows), dtype="Int64")
    scores[answered] = np.asarray(categories, dtype=np.int64)[codes]
    has_trait = bool(rows["trait"].notna().all())
    judge = [] if isinstance(instrument, Inventory) else ["judge"]
    return ResponseTable.from_frame(
        rows.assign(response=scores),
        response="response",
        subject="subject",
        item="item",
        facets=(*judge, *facets),
        weight="weight",
        dimension="trait" if has_trait else None,
        categories=categories,
        reason="reason",
    )


def _pairs(rows: pd.DataFrame, facets: list[str]) -> PairTable:
    turned = (rows["position"] == "ba").to_numpy()
    first = rows["left"].where(~turned, rows["right"])
    second = rows["right"].where(~turned, rows["left"])
    outcome: list[str | None] = []
    for code, swapped in zip(rows["category"], turned, strict=True):
        known = None if pd.isna(code) else int(code)
        outcome.append(None if known is None else _OUTCOMES[1 - known if swapped and known < 2 else known])
    return PairTable.from_frame(
        rows.assign(left=first, right=second, outcome=pd.array(outcome, dtype="str")),
        left="left",
        right="right",
        outcome="outcome",
        judge="judge",
        facets=facets,
        weight="weight",
        outcomes={name: name for name in _OUTCOMES},
        reason="reason",
    )
