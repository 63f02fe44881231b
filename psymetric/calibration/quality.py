"""How good probabilities are: calibration error, Brier score and its parts, log loss, with intervals by groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.calibration_map import CalibrationMap
from psymetric.calibration.event_scores import (
    Bins,
    Cells,
    brier_parts,
    calibration_error,
    corp_parts,
    debiased_error,
    debiased_square,
    equal_bins,
    log_losses,
    quantile_bins,
    sum_bins,
)
from psymetric.calibration.forecasts import Event, Forecasts, events, read_forecasts
from psymetric.data.coding import Label
from psymetric.data.messages import counted
from psymetric.errors import DataError

__all__ = ["CalibrationQuality", "calibration_quality"]

Array = NDArray[np.float64]

_WHO = "calibration_quality"
_ALL = "all categories"
_NEAR_ZERO = (
    "ECE equal width",
    "ECE quantile",
    "ECE debiased",
    "squared calibration error debiased",
    "reliability",
    "miscalibration",
)
"""What calibration alone would make zero, but for sampling."""
_CENTRES = {
    **{name: name for name in (*_NEAR_ZERO, "resolution", "discrimination")},
    "ECE debiased": "ECE quantile",
    "squared calibration error debiased": "reliability",
}
"""Statistics that sampling pushes up, and which of them is the truth that their bootstrap samples are drawn around."""


@final
@dataclass(frozen=True, repr=False)
class CalibrationQuality:
    """How good probabilities are.

    Attributes:
        frame: One row per event and statistic: `event` (`≥ category`, of two categories the higher, or `all
            categories`), `statistic`, `value`, `lower`, `upper`, and `if_calibrated`, `if_calibrated_upper`: mean and
            `level` quantile of the statistic if every forecast were right, for those that calibration would make zero
            but for sampling (else missing).
        n: Labelled rows. n_groups: Groups they come in.
        level: Coverage of the intervals.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    n: int
    n_groups: int
    level: float
    notes: tuple[str, ...]

    def value(self, statistic: str, *, event: str | None = None) -> float:
        """One value; the event may be left out where the statistic has one.

        Raises:
            DataError: No such row, or several.
        """
        rows = self.frame[self.frame["statistic"] == statistic]
        rows = rows if event is None else rows[rows["event"] == event]
        if len(rows) != 1:
            raise DataError(
                f"{_WHO}: {counted(len(rows), 'row')} of statistic {statistic!r} and event {event!r}; the statistics "
                f"are {self.frame['statistic'].unique().tolist()}, the events {self.frame['event'].unique().tolist()}."
            )
        return float(rows["value"].iloc[0])

    def __str__(self) -> str:
        lines = [
            f"  {row['event']:<16}{row['statistic']:<36}{row['value']:8.4f}  [{row['lower']:.4f}, {row['upper']:.4f}]"
            for _, row in self.frame.iterrows()
        ]
        title = f"{counted(self.n, 'label')} in {counted(self.n_groups, 'group')}, {self.level:.0%} intervals"
        return "\n".join([title, *lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def calibration_quality(
    source: CalibrationMap | Any,
    *,
    label: str | None = None,
    probabilities: str | Sequence[str] | None = None,
    categories: Sequence[Label] | None = None,
    group: str | None = None,
    bins: int = 10,
    level: float = 0.95,
    draws: int = 200,
    seed: int = 0,
) -> CalibrationQuality:
    r"""Calibration and sharpness of probabilities: of a map, out of fold, or of any columns beside labels.

    Each event "at least category k" is a yes-or-no forecast. The parts of Murphy's decomposition rest on quantile bins;
    `within bins` is what these do not see.

    | statistic | what it is |
    |---|---|
    | `Brier` | mean squared distance of forecast and event |
    | `reliability`, `resolution`, `uncertainty`, `within bins` | Brier = rel. − res. + unc. + within, exactly |
    | `miscalibration`, `discrimination` | Brier = misc. − disc. + unc., exactly, without bins (CORP) |
    | `log loss` | nats; infinite where something happened that had probability zero |
    | `ECE equal width`, `ECE quantile` | mean distance of forecast and share over the bins: too high in small samples |
    | `ECE debiased` | that over quantile bins, less what sampling adds; still not negative |
    | `squared calibration error debiased` | mean squared distance over quantile bins, unbiased; may be negative |

    Of three categories or more, `all categories` has the log loss, the `Brier` score summed over categories, and the
    `ranked probability score`, the sum of the events' Brier scores.

    Intervals come from a bootstrap over groups: percentiles, but for what sampling pushes up (all errors, resolution,
    discrimination) the value less the percentiles of its error in the samples (the basic bootstrap). Such a value may
    lie above its own interval, which says how much too high it is. Compare it with `if_calibrated`, for which events
    are drawn from the forecasts, each row by itself; debiasing too takes rows as independent.

    Args:
        source: A `CalibrationMap`, whose out-of-fold predictions are judged, or a frame with the columns below.
        label: Column of what came true; rows without are left out.
        probabilities: Column of the probability of the higher of two categories, or of each category in order.
        categories: All labels from low to high; by default the whole numbers from the lowest to the highest.
        group: Column of what is drawn together; by default every row is its own.
        bins: Bins of each kind, 1 or more.
        level: Coverage of the intervals, in (0, 1).
        draws: Bootstrap samples, 2 or more, and samples of calibrated events.
        seed: Of both.

    Raises:
        DataError: An unknown column, NaN, probabilities outside [0, 1] or that do not sum to one, a label outside the
            categories, a single group, or labels all alike where no categories are listed.

    Source: Murphy (1973); Stephenson et al. (2008); Dimitriadis, Gneiting & Jordan (2021); Naeini et al. (2015);
    Kumar, Liang & Ma (2019); Bröcker & Smith (2007) for events drawn from forecasts; Epstein (1969), ranked score.
    """
    if bins < 1 or draws < 2 or not 0 < level < 1:
        raise DataError(f"{_WHO}: bins={bins}, draws={draws}, level={level}; ask for 1 bin, 2 draws, a level in (0, 1)")
    found = read_forecasts(
        source, label=label, probabilities=probabilities, categories=categories, group=group, who=_WHO
    )
    n_groups = int(found.group.max()) + 1
    if n_groups < 2:
        raise DataError(f"{_WHO}: a single {group or 'row'} has no interval; a bootstrap needs two groups or more.")
    prepared = [_Prepared.of(event, bins) for event in events(found)]
    rng, ones = np.random.default_rng(seed), np.ones(len(found.codes))
    values = dict(_statistics(found, prepared, ones))
    drawn = np.empty((draws, len(values)))
    for draw in range(draws):
        times = np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups).astype(np.float64)
        drawn[draw] = list(dict(_statistics(found, prepared, times[found.group])).values())
    frame = pd.DataFrame(list(values), columns=["event", "statistic"])
    frame["value"] = list(values.values())
    frame["lower"], frame["upper"] = np.array(
        [_interval(key, values, column, level) for key, column in zip(values, drawn.T, strict=True)]
    ).T
    calibrated = _if_calibrated(prepared, draws, level, rng)
    expected = [calibrated.get(key, (np.nan, np.nan)) for key in values]
    frame["if_calibrated"], frame["if_calibrated_upper"] = np.array(expected).T
    return CalibrationQuality(frame, len(ones), n_groups, level, (*found.notes, *_notes(frame)))


def _interval(
    key: tuple[str, str], values: dict[tuple[str, str], float], drawn: Array, level: float
) -> tuple[float, float]:
    """Percentiles; of what sampling pushes up, the value less the percentiles of its error in the samples."""
    event, statistic = key
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="nearest").tolist()
    if statistic not in _CENTRES:
        return low, high
    both = values[key] + values[event, _CENTRES[statistic]]
    least = -np.inf if statistic.startswith("squared") else 0.0
    return max(both - high, least), max(both - low, least)


@final
@dataclass(frozen=True)
class _Prepared:
    """An event with what does not change from sample to sample."""

    event: Event
    width: Bins
    quantile: Bins
    cells: Cells
    losses: Array

    @classmethod
    def of(cls, event: Event, bins: int) -> _Prepared:
        forecast = event.forecast
        parts = equal_bins(forecast, bins), quantile_bins(forecast, bins), Cells.of(forecast)
        return cls(event, *parts, log_losses(forecast, event.happened))


def _statistics(found: Forecasts, prepared: list[_Prepared], weight: Array) -> Iterator[tuple[tuple[str, str], float]]:
    ranked = 0.0
    for one in prepared:
        name, forecast, happened = one.event.name, one.event.forecast, one.event.happened
        brier = _mean((forecast - happened) ** 2, weight)
        ranked += brier
        yield (name, "Brier"), brier
        yield (name, "log loss"), _mean(one.losses, weight)
        for statistic, value in _errors(one, happened, weight).items():
            yield (name, statistic), value
    if len(prepared) > 1:
        came = found.shares[np.arange(len(found.codes)), found.codes]
        yield (_ALL, "log loss"), _mean(log_losses(came, np.ones(len(came))), weight)
        yield (_ALL, "Brier"), _mean((found.shares**2).sum(axis=1) - 2 * came + 1, weight)
        yield (_ALL, "ranked probability score"), ranked


def _errors(one: _Prepared, happened: Array, weight: Array) -> dict[str, float]:
    forecast = one.event.forecast
    width = sum_bins(one.width, forecast, happened, weight)
    quantile = sum_bins(one.quantile, forecast, happened, weight)
    return {
        **brier_parts(quantile),
        **corp_parts(one.cells, happened, weight),
        "ECE equal width": calibration_error(width),
        "ECE quantile": calibration_error(quantile),
        "ECE debiased": debiased_error(quantile),
        "squared calibration error debiased": debiased_square(quantile),
    }


def _if_calibrated(
    prepared: list[_Prepared], draws: int, level: float, rng: np.random.Generator
) -> dict[tuple[str, str], tuple[float, float]]:
    """Mean and upper quantile of the errors where events are drawn from their forecasts."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for one in prepared:
        forecast = one.event.forecast
        samples: dict[str, list[float]] = {name: [] for name in _NEAR_ZERO}
        for _ in range(draws):
            happened = (rng.random(len(forecast)) < forecast).astype(np.float64)
            errors = _errors(one, happened, np.ones(len(forecast)))
            for name, kept in samples.items():
                kept.append(errors[name])
        for name, kept in samples.items():
            found[one.event.name, name] = float(np.mean(kept)), float(np.quantile(kept, level))
    return found


def _mean(losses: Array, weight: Array) -> float:
    counts = weight > 0
    return float(weight[counts] @ losses[counts] / weight.sum())


def _notes(frame: pd.DataFrame) -> Iterator[str]:
    if np.isinf(frame["value"]).any():
        yield "the log loss is infinite: something happened that had probability zero"
    if frame["value"].isna().any():
        yield "the squared calibration error has no estimate where every quantile bin holds one row; ask for fewer bins"
