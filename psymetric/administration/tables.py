"""From the store to frames: each plan row beside what was read from its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pandas as pd

from psymetric.administration.readout import read_reply
from psymetric.administration.records import reading_of
from psymetric.administration.store import Store
from psymetric.data.nonresponse import NonResponse
from psymetric.errors import DesignError
from psymetric.providers.replay import record_reply

if TYPE_CHECKING:
    from psymetric.administration.parsing import Reading
    from psymetric.providers.base import ModelEndpoint, Prompt

__all__ = ["AskablePlan", "answers_frame", "plan_id", "responses_frame"]

_STORED: Final = (
    "key", "final", "category", "reason", "detail", "distribution", "mass", "text", "finish_reason", "refusal",
    "prompt_tokens", "completion_tokens", "cost", "latency_s", "echoed_model", "asked_at", "parser",
)  # fmt: skip
_REPARSED: Final = ("logprobs", "request")
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
