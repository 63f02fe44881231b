"""Votes of a council: language models that judge one another's answers (lm-council)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from psymetric.data.nonresponse import NonResponse
from psymetric.data.pairs import PairTable
from psymetric.instruments.importers.records import Repeats, read_records
from psymetric.instruments.importers.votes import pair_table, read_outcomes

__all__ = ["read_council"]

_WHO: Final = "read_council"
_PROMPT: Final = ("emobench_id", "prompt_id")
_MEANINGS: Final = {
    "A>>B": "left",
    "A>B": "left",
    "A=B": "tie",
    "tie": "tie",
    "B>A": "right",
    "B>>A": "right",
}
_STRONG: Final = ("A>>B", "B>>A")


def read_council(path: str | Path, *, repeats: Repeats = "error") -> PairTable:
    """Comparisons from a council's pairwise votes, such as lm-council's `judge_ratings.jsonl`.

    `first_completion_by` is left (shown first as A) and `second_completion_by` right; `pairwise_choice` is A>>B, A>B,
    A=B (or tie), B>A or B>>A, with or without the brackets of the prompt. Null is a non-response (`unparsable`).
    Facets: `judge` (`judge_model`), `prompt` (`emobench_id`, else a short name of `user_prompt`: the first 12 digits of
    its SHA-256), and `strength` ("strong", "slight", "tie", or "none" without a vote).

    A strong preference is one vote. lm-council itself counts it three times, so that its intervals are too narrow, and
    drops ties; neither happens here. `strength` is a part of the answer, kept to be looked at: it may not own a
    parameter of a model of the outcome.

    Args:
        path: `.jsonl`, `.json` (a list), `.csv` (each also with `.gz`) or `.parquet`.
        repeats: What to do with a vote of the same judge on the same prompt and order: "error", "first" (leave it out),
            or "keep", for councils that asked everything several times.

    Raises:
        DataError: The file cannot be read, or a record cannot be understood; the message names the line.

    Source: Zhao, Plaza-del-Arco, Genchel & Cercas Curry (2025), Language Model Council, NAACL.
    """
    sides = ("first_completion_by", "second_completion_by")
    records = read_records(path, [*sides, "pairwise_choice", "judge_model", *_PROMPT, "user_prompt"], who=_WHO)
    named = records.first_of((*_PROMPT, "user_prompt"))
    records, notes = records.distinct((*sides, "judge_model", named), repeats)
    columns = {side: records.labels(field) for side, field in zip(("left", "right"), sides, strict=True)}
    records.refuse_self(*sides)
    columns["judge"] = records.labels("judge_model")
    columns["prompt"] = records.texts(named) if named == "user_prompt" else records.labels(named)
    choice = records.values("pairwise_choice")
    bracketed = {f"[[{label}]]": meaning for label, meaning in _MEANINGS.items()}
    lost = {"": NonResponse.unparsable}
    votes = read_outcomes(records, "pairwise_choice", {**_MEANINGS, **bracketed, "": None}, lost=lost)
    strong = choice.isin([*_STRONG, *(f"[[{label}]]" for label in _STRONG)]).to_numpy(dtype=bool)
    outcome = votes["outcome"]
    strength = np.select([outcome.isna(), outcome == "tie", strong], ["none", "tie", "strong"], "slight")
    reason = votes["reason"].where(votes["reason"] != NonResponse.missing.value, NonResponse.unparsable.value)
    frame = pd.DataFrame({**columns, "strength": strength, "outcome": outcome, "reason": reason})
    facets = [*(name for name in columns if name not in ("left", "right")), "strength"]
    return pair_table(frame, facets, *notes)
