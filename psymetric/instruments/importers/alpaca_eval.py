"""Annotations of AlpacaEval: a judge's preference between a baseline's output and a model's."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.messages import counted
from psymetric.data.nonresponse import NonResponse
from psymetric.data.outcomes import OUTCOMES
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.instruments.importers.records import Records, Repeats, read_records
from psymetric.instruments.importers.votes import THOUSAND, kept_where, pair_table

__all__ = ["read_alpaca_eval"]

_WHO: Final = "read_alpaca_eval"
_FIELDS: Final = ("generator_1", "generator_2", "preference", "instruction", "annotator", "dataset")
_MIDDLE: Final = 1.5
Preferences = Literal["hard", "split"]


def read_alpaca_eval(
    path: str | Path,
    *,
    preferences: Preferences = "hard",
    length: Literal["characters"] | None = None,
    repeats: Repeats = "error",
) -> PairTable:
    """Comparisons from AlpacaEval's `annotations.json`.

    `generator_1` is left and `generator_2` right; `preference` runs from 1 (the first is better) over 1.5 (a tie; older
    files write 0) to 2. Where it is null the annotator's reply could not be read: a non-response (`unparsable`).
    Facets: `judge` (`annotator`), `prompt` (a short name of the instruction: the first 12 digits of its SHA-256), and
    `dataset`, where the file has them.

    AlpacaEval shows the two outputs in random order and does not store it, so that left is not the one shown first, and
    a model of these comparisons has no position effect; a note says so.

    Args:
        path: `.json` (a list), `.jsonl`, `.csv` (each also with `.gz`) or `.parquet`.
        preferences: What a preference between 1 and 2 means, such as 1.83 from the judge's token probabilities. "hard":
            a vote for the nearer output, and a tie at 1.5 alone; what the judge would most often say. "split": two rows
            of weights 2 - p (left) and p - 1 (right), with one level of the facet `vote`: the estimates use how sure
            the judge was, but no model gives such rows their probability (a quasi-likelihood; a note says so), and
            errors need `robust_errors(fit, table, cluster="vote")` or "prompt".
        length: "characters" adds the facet `length`, for `BradleyTerry(contest="length")`: what the left output has
            more than the right one, in thousands of characters.
        repeats: What to do with a vote on the same instruction and generators by the same annotator: "error", "first"
            (leave it out), or "keep".

    Raises:
        DataError: The file cannot be read, or a record cannot be understood; the message names the line.

    Source: Li et al. (2023), AlpacaEval; Dubois, Galambosi, Liang & Hashimoto (2024), Length-controlled AlpacaEval.
    """
    if preferences not in get_args(Preferences):
        raise DataError(f"{_WHO}: preferences={preferences!r} is not known: use one of {[*get_args(Preferences)]}")
    if length not in (None, "characters"):
        raise DataError(f'{_WHO}: length={length!r} is not known: use None or "characters"')
    fields = (*_FIELDS, "output_1", "output_2") if length else _FIELDS
    records = read_records(path, fields, who=_WHO)
    judged = ("annotator",) if records.has("annotator") else ()
    records, notes = records.distinct(("instruction", "generator_1", "generator_2", *judged), repeats)
    columns = {"left": records.labels("generator_1"), "right": records.labels("generator_2")}
    records.refuse_self("generator_1", "generator_2")
    preference = _preference(records)
    for facet, field in (("judge", "annotator"), ("dataset", "dataset")):
        if records.has(field):
            columns[facet] = records.labels(field)
    if records.has("instruction"):
        columns["prompt"] = records.texts("instruction")
    if length:
        difference = records.lengths("output_1") - records.lengths("output_2")
        columns["length"] = pd.Series(difference / THOUSAND)
    frame = pd.DataFrame(columns)
    facets = [name for name in frame.columns if name not in ("left", "right")]
    order = "AlpacaEval does not store which output was shown first: left and right say nothing of position."
    if preferences == "hard":
        return pair_table(_hard(frame, preference), facets, *notes, order)
    split = _split(frame, preference)
    return pair_table(split, [*facets, "vote"], *notes, order, *_quasi(preference), weight="weight")


def _preference(records: Records) -> NDArray[np.float64]:
    """Preferences from 1 to 2, NaN where there is none, shape (records,)."""
    found = records.numbers("preference")
    found = np.where(found == 0, _MIDDLE, found)
    odd = ~np.isnan(found) & ~((found >= 1) & (found <= 2))
    if odd.any():
        fix = "a preference runs from 1 (the first output) to 2 (the second); 0 and 1.5 are ties, null is no answer"
        raise records.error("preferences outside 1 to 2", odd, records.values("preference")[odd], fix)
    return found


def _hard(frame: pd.DataFrame, preference: NDArray[np.float64]) -> pd.DataFrame:
    side = np.select([preference < _MIDDLE, preference > _MIDDLE, preference == _MIDDLE], [0, 1, 2], 3)
    lost = np.isnan(preference)
    reason = kept_where(NonResponse.unparsable.value, lost)
    return frame.assign(outcome=np.array([*OUTCOMES, None], dtype=object)[side], reason=reason)


def _split(frame: pd.DataFrame, preference: NDArray[np.float64]) -> pd.DataFrame:
    """Every vote as a left row and a right row, without those of no weight; a lost vote is one row."""
    lost = np.isnan(preference)
    weight = np.stack([2 - preference, preference - 1])
    sides, rows = np.nonzero(np.where(lost, [[True], [False]], weight > 0))
    order = np.lexsort((sides, rows))
    sides, rows = sides[order], rows[order]
    outcome = np.array(OUTCOMES, dtype=object)[sides]
    return (
        frame.iloc[rows]
        .reset_index(drop=True)
        .assign(
            outcome=kept_where(outcome, ~lost[rows]),
            reason=kept_where(NonResponse.unparsable.value, lost[rows]),
            weight=np.where(lost[rows], np.nan, weight[sides, rows]),
            vote=rows + 1,
        )
    )


def _quasi(preference: NDArray[np.float64]) -> tuple[str, ...]:
    halved = int(np.sum((preference > 1) & (preference < 2)))
    if not halved:
        return ()
    return (
        f"Quasi-likelihood: {counted(halved, 'vote')} split between both sides by the judge's preference. AIC and "
        'likelihood ratios mean nothing; for standard errors use robust_errors(fit, table, cluster="vote").',
    )
