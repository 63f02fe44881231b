"""Reliability diagram: how often what was forecast came true, beside what a calibrated forecast would show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.calibration.calibration_map import CalibrationMap
from psymetric.calibration.event_scores import Bins, Cells, quantile_bins, sum_bins
from psymetric.calibration.forecasts import Event, events, read_forecasts
from psymetric.data.coding import Label
from psymetric.data.messages import counted
from psymetric.errors import DataError

__all__ = ["ReliabilityDiagram", "reliability_diagram"]

Array = NDArray[np.float64]

_WHO = "reliability_diagram"
_MOST_PLACES = 200


@final
@dataclass(frozen=True, repr=False)
class ReliabilityDiagram:
    """How often what was forecast came true.

    Attributes:
        curve: One row per event and forecast: `event`, `forecast`, `share` (isotonic: how often the event came true
            at this forecast), `lower`, `upper` (where `share` would lie if the forecasts were right).
        bins: One row per event and bin: `event`, `forecast` (mean), `share`, `n`, `lower`, `upper` (as above).
        level: Chance that a calibrated forecast stays within `lower` and `upper`, at one forecast or bin.
        notes: What a reader should know, as sentences.
    """

    curve: pd.DataFrame
    bins: pd.DataFrame
    level: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        outside = (self.bins["share"] < self.bins["lower"]) | (self.bins["share"] > self.bins["upper"])
        lines = [
            f"  {event}: {int(rows.sum())} of {counted(len(rows), 'bin')} outside what calibrated forecasts show"
            for event, rows in outside.groupby(self.bins["event"], sort=False)
        ]
        return "\n".join(["reliability diagram", *lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def reliability_diagram(
    source: CalibrationMap | Any,
    *,
    label: str | None = None,
    probabilities: str | Sequence[str] | None = None,
    categories: Sequence[Label] | None = None,
    bins: int = 10,
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> ReliabilityDiagram:
    """How often each event came true at each forecast, with consistency bands.

    The curve is isotonic, so that it has no bins to choose; the bins are of nearly equal numbers of rows. The bands
    say where either would lie if every forecast were right: events are drawn from the forecasts, each row by itself,
    and treated in the same way. They hold at one place, not along the whole curve, and are too narrow where rows of
    one group are alike.

    Args:
        source: A `CalibrationMap`, whose out-of-fold predictions are shown, or a frame with the columns below.
        label: As in `calibration_quality`.
        probabilities: As there.
        categories: As there.
        bins: Bins, 1 or more.
        level: Coverage of the bands, in (0, 1).
        draws: Samples of calibrated events, 2 or more.
        seed: Of these.

    Raises:
        DataError: As `calibration_quality`.

    Source: Bröcker & Smith (2007) for consistency bars; Dimitriadis, Gneiting & Jordan (2021) for the curve (CORP).
    """
    if bins < 1 or draws < 2 or not 0 < level < 1:
        raise DataError(f"{_WHO}: bins={bins}, draws={draws}, level={level}; ask for 1 bin, 2 draws, a level in (0, 1)")
    found = read_forecasts(
        source, label=label, probabilities=probabilities, categories=categories, group=None, who=_WHO
    )
    rng = np.random.default_rng(seed)
    parts = [_of_event(event, bins, level, draws, rng) for event in events(found)]
    curve, binned = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    return ReliabilityDiagram(curve, binned, level, found.notes)


def _of_event(
    event: Event, bins: int, level: float, draws: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    forecast, ones = event.forecast, np.ones(len(event.forecast))
    cells, quantile = Cells.of(forecast), quantile_bins(forecast, bins)
    at, _, _, share = cells.recalibrated(event.happened, ones)
    # Places along the curve: all forecasts, or as many quantiles and every end of a step.
    shown = np.arange(len(at))
    if len(at) > _MOST_PLACES:
        steps = np.flatnonzero(np.diff(share) > 0)
        spread = np.linspace(0, len(at) - 1, _MOST_PLACES).astype(np.int64)
        shown = np.unique(np.concatenate([spread, steps, steps + 1]))
    sums = sum_bins(quantile, forecast, event.happened, ones)
    curves, shares = np.empty((draws, len(shown))), np.empty((draws, len(sums.weight)))
    for draw in range(draws):
        happened = (rng.random(len(forecast)) < forecast).astype(np.float64)
        curves[draw] = cells.recalibrated(happened, ones)[3][shown]
        shares[draw] = _binned_shares(quantile, happened)
    tails = [(1 - level) / 2, (1 + level) / 2]
    along, beside = np.quantile(curves, tails, axis=0), np.quantile(shares, tails, axis=0)
    curve = {"forecast": at[shown], "share": share[shown], "lower": along[0], "upper": along[1]}
    binned = {"forecast": sums.forecast, "share": sums.happened, "n": sums.weight.astype(np.int64)}
    binned |= {"lower": beside[0], "upper": beside[1]}
    return pd.DataFrame({"event": event.name, **curve}), pd.DataFrame({"event": event.name, **binned})


def _binned_shares(bins: Bins, happened: Array) -> Array:
    """Share of events in the bins that hold rows."""
    total = np.bincount(bins.place, minlength=bins.count)
    return np.bincount(bins.place, happened, bins.count)[total > 0] / total[total > 0]
