"""Profiles: several traits of each subject, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from psymetric.plots.style import (
    ACCENT,
    GRID,
    LINE,
    SOFT,
    canvas,
    pixels_by_data,
    round_ticks,
    shorten,
    style,
    text_width,
)

__all__ = ["Profile", "draw_profiles"]

_ROW = 26.0


@final
@dataclass(frozen=True)
class Profile:
    """One subject: estimates and interval ends in the order of the traits, NaN where there is none."""

    subject: str
    estimate: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def draw_profiles(
    profiles: Sequence[Profile],
    traits: Sequence[str],
    *,
    width: float,
    axis: str,
) -> Figure:
    """Small multiples, one per subject with the traits as rows, all on one scale.

    Args:
        profiles: What to draw.
        traits: Names of the rows.
        width: Pixels.
        axis: What the horizontal axis measures, with its unit.
    """
    labels = [shorten(trait, 18) for trait in traits]
    left = max(map(text_width, labels), default=40) + 14
    across = 1 if width < 480 else min(3, len(profiles), max(int((width - left) / 170), 1))
    down = -(-len(profiles) // across)
    wide, tall = (width - left - 16 * (across - 1) - 8) / across, _ROW * len(traits)
    height = down * (tall + 52) + 24
    ends = np.concatenate([np.concatenate([p.lower, p.upper]) for p in profiles])
    ends = ends[np.isfinite(ends)]
    with style():
        figure, first = canvas(width, height)
        figure.delaxes(first)
        for index, profile in enumerate(profiles):
            row, column = divmod(index, across)
            x, y = left + column * (wide + 16), height - (row + 1) * (tall + 52) + 28
            axes = figure.add_axes((x / width, y / height, wide / width, tall / height))
            axes.set(xlim=(ends.min() - 0.2, ends.max() + 0.2), ylim=(len(traits) - 0.5, -0.5), yticks=[])
            axes.xaxis.set_major_locator(round_ticks(4))
            axes.grid(axis="x", color=GRID, lw=1)
            axes.set_axisbelow(True)
            axes.axvline(0, color=LINE, lw=1.2)
            places = np.arange(len(traits))
            axes.hlines(places, profile.lower, profile.upper, color=ACCENT, lw=2.2, alpha=0.55)
            axes.plot(profile.estimate, places, "o", ms=6, color=ACCENT)
            axes.annotate(
                shorten(profile.subject, int(wide / 7.2)), (0, 1), (0, 6), "axes fraction", "offset points", size=12.5
            )
            for place, label in enumerate(labels if column == 0 else []):
                axes.text(0, place, label, transform=pixels_by_data(axes), va="center_baseline", color=SOFT)
        figure.text(left / width, 4 / height, axis, size=12, color=SOFT)
        return figure
