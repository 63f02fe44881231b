"""When the judge answers and when a person is asked, with a stated risk among the answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta, binom

from psymetric.calibration.calibration_map import CalibrationMap
from psymetric.calibration.held_out import HeldOut, read_held_out
from psymetric.data.columns import native_frame
from psymetric.data.messages import counted
from psymetric.errors import DataError

__all__ = ["Abstention", "abstention", "answers", "upper_bound"]

Array = NDArray[np.float64]

_WHO = "abstention"
_STEPS = 20
"""Thresholds that are tried: shares answered of 5%, 10%, … of the map's own rows. More would only fail sooner."""
_POWER = 0.8
"""Chance that the first threshold passes if its risk is half of what is asked."""


@final
@dataclass(frozen=True, repr=False)
class Abstention:
    """A threshold of confidence above which the judge's calibrated answer stands.

    Attributes:
        calibration: The map that answers.
        threshold: Least confidence of an answer; None where no threshold passed.
        risk: Chance of an error among the answers that was asked for. level: Chance, over labelled samples, that the
            threshold keeps to it.
        tolerance: Places by which an answer may miss the label without being an error.
        curve: One row per threshold, from strict to lax: `threshold`, `answered` (share), `n_answered`, `n_errors`,
            `risk` (share of errors among the answers), `upper` (Clopper-Pearson bound at `level`, of this threshold
            alone), `passed` (it and all before it are within the risk). `risk` is missing where nothing was answered.
        n: Labelled rows used, one of each group.
        notes: What a reader should know, as sentences.
    """

    calibration: CalibrationMap
    threshold: float | None
    risk: float
    level: float
    tolerance: int
    curve: pd.DataFrame
    n: int
    notes: tuple[str, ...]

    def predict(self, frame: Any) -> pd.DataFrame:
        """What the judge answers, and whether the answer stands; under the index given.

        Returns:
            One row each: `answer` (the label most likely to be within the tolerance), `confidence` (chance of that by
            the map), `answered` (whether it reaches the threshold; ask a person where it does not).

        Raises:
            DataError: As `CalibrationMap.predict`.
        """
        rows = native_frame(frame, who="predict")
        answer, confidence = answers(
            self.calibration.fitted.probabilities(self.calibration.inputs(rows)), self.tolerance
        )
        names = pd.Series(np.array(self.calibration.categories, dtype=object)[answer]).infer_objects().to_numpy()
        answered = confidence >= (np.inf if self.threshold is None else self.threshold)
        found = {"answer": names, "confidence": confidence, "answered": answered}
        return pd.DataFrame(found, index=rows.index)

    def __str__(self) -> str:
        asked = f"risk of {self.risk:g} among the answers, with {self.level:.0%} certainty"
        if self.threshold is None:
            return "\n".join([f"no answers: {asked}", *(f"  note: {note}" for note in self.notes)])
        last = self.curve[self.curve["passed"]].iloc[-1]
        lines = [
            f"answers from confidence {self.threshold:.3f}: {asked}",
            f"  {last['answered']:.0%} of {counted(self.n, 'row')} answered, {last['risk']:.1%} of them in error",
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def answers(shares: Array, tolerance: int) -> tuple[NDArray[np.intp], Array]:
    """The category with the most probability within `tolerance` places, and how much; shape (rows,) each."""
    k = shares.shape[1]
    places = np.arange(k)
    near = (np.abs(places[:, None] - places[None]) <= tolerance).astype(np.float64)
    reach = shares @ near
    # Of answers that reach as much, the likeliest by itself: at the ends of the scale several reach all of it.
    best = reach >= reach.max(axis=1, keepdims=True) - 1e-12
    answer = np.where(best, shares, -1.0).argmax(axis=1)
    return answer, np.minimum(reach[np.arange(len(shares)), answer], 1.0)


def upper_bound(n_errors: NDArray[np.int64], n: NDArray[np.int64], level: float) -> Array:
    """One-sided upper bound of Clopper & Pearson (1934) for a share; 1 where all are errors or nothing was seen."""
    certain = n_errors >= n
    found = beta.ppf(level, n_errors + 1, np.where(certain, 1, n - n_errors))
    return np.where(certain, 1.0, np.asarray(found, np.float64))


def abstention(
    calibration: CalibrationMap,
    *,
    labelled: Any,
    risk: float = 0.1,
    level: float = 0.95,
    tolerance: int = 0,
    seed: int = 0,
) -> Abstention:
    """The lowest confidence at which the judge may answer, with at most the stated share of errors among its answers.

    With probability `level` over labelled samples, a random row of a random group that is answered is in error with
    chance at most `risk`, however wrong the map. Thresholds are fixed by the map's own rows before labels are looked
    at, and tried from strict to lax by an exact binomial test until one fails: nothing is paid for trying several.

    Args:
        calibration: The map.
        labelled: A frame with the judge's columns, the label and, where the map has one, the group, of groups that the
            map was not fitted on; rows without a label are left out. Of each group one row, drawn at random, is used.
        risk: Largest chance of an error among the answers, in (0, 1).
        level: Chance that the threshold keeps to it, in (0, 1).
        tolerance: Places by which an answer may miss the label, 0 or more and less than the categories.
        seed: Of the rows drawn.

    Returns:
        The threshold, None where none passed (then a note says why), and the curve of risk by share answered.

    Raises:
        DataError: Settings outside their range; an unknown column; a label outside the map's categories; groups that
            the map has seen.

    Source: Angelopoulos et al. (2025), Learn then Test, with fixed-sequence testing; Clopper & Pearson (1934); Geifman
    & El-Yaniv (2017) for the question.
    """
    if not (0 < risk < 1 and 0 < level < 1):
        raise DataError(f"{_WHO}: risk={risk}, level={level}; give chances between 0 and 1, such as 0.1 and 0.95")
    if not 0 <= tolerance < len(calibration.categories) - 1:
        raise DataError(
            f"{_WHO}: tolerance={tolerance} places of {len(calibration.categories)} categories; give 0, or more up to "
            f"{len(calibration.categories) - 2}, at which an answer can still be wrong."
        )
    held = _one_of_each(read_held_out(calibration, labelled, who=_WHO), np.random.default_rng(seed))
    own = calibration.out_of_fold[calibration.probability_columns].to_numpy(np.float64)
    _, seen = answers(own, tolerance)
    answered = np.arange(1, _STEPS + 1) / _STEPS
    thresholds = np.unique(np.quantile(seen, 1 - answered[:-1], method="higher"))[::-1]
    # The last threshold answers everything, also what is less certain than any row of the map's.
    thresholds = np.append(thresholds, 0.0)
    answer, confidence = answers(held.shares, tolerance)
    wrong = np.abs(answer - held.codes) > tolerance
    curve = _curve(thresholds, confidence, wrong, level)
    expected = np.array([np.mean(seen >= threshold) for threshold in thresholds]) * len(wrong)
    start = int(np.argmax(expected >= _first_count(len(wrong), risk, level)))
    within = curve["upper"].to_numpy() <= risk
    failed = np.flatnonzero(~within[start:])
    end = start + int(failed[0]) if len(failed) else len(within)
    curve["passed"] = (np.arange(len(within)) >= start) & (np.arange(len(within)) < end)
    threshold = float(thresholds[end - 1]) if end > start else None
    notes = tuple(_notes(held, threshold, risk, level))
    return Abstention(calibration, threshold, risk, level, tolerance, curve, len(wrong), notes)


def _first_count(n: int, risk: float, level: float) -> int:
    """Answers to expect at the first threshold: enough to pass at half the risk, but no more than half of all rows.

    Never less than twice what could pass without an error, where there are so many rows.
    """
    counts = np.arange(1, n + 1)
    allowed = np.asarray(binom.ppf(1 - level, counts, risk), np.float64) - 1
    able = np.flatnonzero(np.asarray(binom.cdf(allowed, counts, risk / 2), np.float64) >= _POWER)
    least = max(n // 2, 2 * _fewest(risk, level))
    return min(int(counts[able[0]]) if len(able) else n, least, n)


def _fewest(risk: float, level: float) -> int:
    """Answers that show the risk if none is an error."""
    return int(np.ceil(np.log(1 - level) / np.log(1 - risk)))


def _one_of_each(held: HeldOut, rng: np.random.Generator) -> HeldOut:
    """One row of each group, at random: rows that are independent, as the binomial test takes them."""
    order = rng.permutation(len(held.group))
    _, first = np.unique(held.group[order], return_index=True)
    kept = order[first]
    return HeldOut(held.shares[kept], held.codes[kept], held.group[kept])


def _curve(thresholds: Array, confidence: Array, wrong: NDArray[np.bool_], level: float) -> pd.DataFrame:
    order = np.argsort(confidence)[::-1]
    n_answered = np.searchsorted(-confidence[order], -thresholds, side="right")
    n_errors = np.concatenate([[0], np.cumsum(wrong[order])])[n_answered]
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "answered": n_answered / len(wrong),
            "n_answered": n_answered,
            "n_errors": n_errors,
            "risk": np.where(n_answered > 0, n_errors / np.maximum(n_answered, 1), np.nan),
            "upper": upper_bound(n_errors, n_answered, level),
        }
    )


def _notes(held: HeldOut, threshold: float | None, risk: float, level: float) -> Iterator[str]:
    if len(held.codes) < (fewest := _fewest(risk, level)):
        yield (
            f"{counted(len(held.codes), 'labelled group')} cannot show a risk of {risk:g} with {level:.0%} certainty, "
            f"even without an error; that takes {fewest:,}"
        )
    elif threshold is None:
        yield (
            "the strictest threshold already has too many errors, or too few answers to tell; allow more risk, label "
            "more, or do not let the judge answer"
        )
