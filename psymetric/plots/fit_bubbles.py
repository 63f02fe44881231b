"""Fit bubbles: how noisy each level is, against its measure, with its error as the size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.residuals import fit_statistics
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.plots.style import (
    ACCENT,
    GRID,
    INK,
    LINE,
    SOFT,
    WARN,
    canvas,
    pixels,
    round_ticks,
    shorten,
    style,
    text_width,
)
from psymetric.scoring.score import score

__all__ = ["HIGH", "LOW", "Bubbles", "draw_fit_bubbles", "plot_fit"]

Array = NDArray[np.float64]

LOW: Final = 0.5
HIGH: Final = 1.5
"""Bounds of productive fit (Linacre, 2002, Rasch Measurement Transactions 16:2, 878)."""
_HEIGHT = 340.0
_NEAREST, _FURTHEST = 0.1, 10.0
"""Mean squares beyond these are drawn at the edge; their label has the number."""
_TICKS = (1.0, 0.5, 1.5, 2.0, 5.0, 0.2, 10.0, 0.7, 3.0, 0.1, 0.3)
"""What is written on the axis, the most wanted first."""
_ROOM = 0.2
"""Largest share of the width kept free for names at either end."""
_COVERED = 2
"""Bubbles within bounds that a name may lie on."""
_SMALLEST, _LARGEST = 3.0, 24.0
"""Radii in pixels."""
_SIZE, _NAMED, _MOST = 11.0, 14, 200
_SMALL = 1e-9


@final
@dataclass(frozen=True)
class Bubbles:
    """Levels of one facet; NaN measures or mean squares are left out.

    Attributes:
        labels: Their names.
        measure: In logits, shape (levels,).
        infit: Mean squares, 1 is expected, same shape.
        se: Standard errors of the measures in logits, same shape.
    """

    labels: Sequence[str]
    measure: Array
    infit: Array
    se: Array

    @property
    def out(self) -> NDArray[np.bool_]:
        """Levels out of bounds, shape (levels,)."""
        return (self.infit < LOW) | (self.infit > HIGH)


def plot_fit(fit: Fit, table: ResponseTable, *, facet: str = "judge", width: float = 720) -> Figure:
    """Infit against measure, one bubble per level; named are those out of the conventional bounds .5 and 1.5.

    A bubble reaches one standard error up and down. The mean squares are those of `fit_statistics`.

    Args:
        fit: The fit.
        table: The responses.
        facet: "judge", "item", "subject" or another facet with measures.
        width: Pixels at 72 per inch.

    Raises:
        DataError: A facet without measures, or a mismatch of fit and table.
    """
    frame = fit_statistics(fit, table, facets=[facet])
    if facet == "subject":
        measures = score(fit, table, method="eap").frame.rename(columns={"subject": "level"})
    elif facet in fit.parameters:
        measures = fit.estimates(facet)
    else:
        raise DataError(f"plot_fit: {type(fit.model).__name__} has no measures of {facet!r} to draw fit against")
    placed = frame.join(measures.set_index("level")[["estimate", "se"]], on="level")
    bubbles = Bubbles(
        [str(label) for label in placed["level"]],
        *(placed[name].to_numpy(np.float64) for name in ("estimate", "infit", "se")),
    )
    return draw_fit_bubbles(bubbles, width=width, axis=f"{facet} measure, logits")


def draw_fit_bubbles(bubbles: Bubbles, *, width: float, axis: str) -> Figure:
    """Bubbles over the band of acceptable fit, on a scale where half and double are equally far from one.

    Of more than 200 levels within bounds an even sample along the measure is drawn, of those out of bounds the worst
    200; the figure says so.

    Args:
        bubbles: What to draw.
        width: Pixels.
        axis: What the vertical axis measures, with its unit.
    """
    known, omitted = _kept(bubbles)
    measure, infit, se = (values[known] for values in (bubbles.measure, bubbles.infit, np.nan_to_num(bubbles.se)))
    x = np.clip(infit, _NEAREST, _FURTHEST)
    with style():
        figure, axes = canvas(width, _HEIGHT, left=44, right=10, top=44, bottom=46)
        narrow = width < 480
        words = [
            f"{shorten(bubbles.labels[place], 13 if narrow else 22)} {_plain(float(bubbles.infit[place]))}"
            for place in known.tolist()
        ]
        out = bubbles.out[known]
        _frame(axes, x, measure, se, [_room(words, chosen, axes) for chosen in (out & (x < 1), out & (x > 1))])
        figure.text(0, 1 - 14 / _HEIGHT, axis, size=12, color=SOFT)
        if omitted:
            figure.text(0, 6 / _HEIGHT, f"{omitted:,} more not drawn", size=11, color=SOFT)
        spots = axes.transData.transform(np.column_stack([x, measure])) if len(x) else np.empty((0, 2))
        unit = axes.bbox.height / np.ptp(axes.get_ylim())
        radius = np.clip(se * unit, _SMALLEST, _LARGEST)
        # The large ones lie below the small ones.
        for place in np.argsort(-radius, kind="stable").tolist():
            colour = WARN if out[place] else ACCENT
            face, alpha = ("none", 1.0) if out[place] else (ACCENT, 0.55)
            circle = Circle(tuple(spots[place]), radius[place], facecolor=face, edgecolor=colour, lw=1.6, alpha=alpha)
            circle.set(transform=pixels(axes), clip_on=False)
            axes.add_artist(circle)
        _name(axes, words, spots, radius, out, np.abs(np.log(x)))
        return figure


def _kept(bubbles: Bubbles) -> tuple[NDArray[np.intp], int]:
    """Which bubbles to draw, and how many are left out."""
    known = np.flatnonzero(np.isfinite(bubbles.measure) & np.isfinite(bubbles.infit))
    inside, outside = known[~bubbles.out[known]], known[bubbles.out[known]]
    inside = inside[np.argsort(bubbles.measure[inside], kind="stable")]
    inside = inside[np.unique(np.linspace(0, len(inside) - 1, min(len(inside), _MOST)).astype(int))]
    distance = np.abs(np.log(np.maximum(bubbles.infit[outside], _SMALL)))
    outside = outside[np.argsort(-distance, kind="stable")[:_MOST]]
    return np.sort(np.concatenate([inside, outside])), len(known) - len(inside) - len(outside)


def _plain(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _room(words: Sequence[str], chosen: NDArray[np.bool_], axes: Axes) -> float:
    """Share of the width that the names beside these bubbles take."""
    longest = max((text_width(word, _SIZE) for word, this in zip(words, chosen, strict=True) if this), default=0.0)
    return min((longest + 2 * _SIZE) / axes.bbox.width, _ROOM)


def _frame(axes: Axes, x: Array, measure: Array, se: Array, room: Sequence[float]) -> None:
    """Limits, the band of acceptable fit, and what lies beyond it; `room` is kept free at the left and right end."""
    low, high = (float((measure - se).min()), float((measure + se).max())) if len(x) else (-1.0, 1.0)
    pad = 0.08 * max(high - low, 0.5)
    left, right = float(x.min(initial=0.36)), float(x.max(initial=2.1))
    wide = np.log(right / left) / (1 - sum(room) - 0.04)
    left, right = left * np.exp(-wide * (room[0] + 0.02)), right * np.exp(wide * (room[1] + 0.02))
    axes.set_xscale("log")
    axes.set(xlim=(left, right), ylim=(low - pad, high + pad))
    apart = 30 / axes.bbox.width * np.log(right / left)
    ticks: list[float] = []
    for tick in _TICKS:
        if left <= tick <= right and all(abs(np.log(tick / other)) >= apart for other in ticks):
            ticks.append(tick)
    axes.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(round_ticks(6))
    axes.tick_params(axis="y", labelcolor=SOFT, labelsize=11.5)
    axes.axvspan(LOW, HIGH, color=GRID, alpha=0.7, lw=0)
    axes.axvline(1, color=LINE, lw=1.2)
    axes.set_axisbelow(True)
    axes.set_xlabel("infit mean square (1 is expected)", loc="right")
    for place, words, side in ((LOW, "← too regular", "right"), (HIGH, "noisy →", "left")):
        shift = -4 if side == "right" else 4
        axes.annotate(
            words, (place, 1), (shift, 6), axes.get_xaxis_transform(), "offset points", ha=side, size=11, color=SOFT
        )


def _name(axes: Axes, words: list[str], spots: Array, radius: Array, out: NDArray[np.bool_], distance: Array) -> None:
    """Names beside the bubbles that are out of bounds, the worst first, where nothing else stands yet."""
    worst = [place for place in np.argsort(-distance, kind="stable").tolist() if out[place]]
    taken = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(spots[out].tolist(), radius[out].tolist(), strict=True)]
    box, inside, skipped = axes.bbox, spots[~out], 0
    for rank, place in enumerate(worst):
        wide, tall = text_width(words[place], _SIZE), _SIZE * 1.15
        (x, y), r = spots[place].tolist(), float(radius[place]) + 4
        sides, heights = (x + r, x - r - wide), (y - tall / 2, y + tall / 2, y - 1.5 * tall)
        corners = [(side, bottom) for bottom in heights for side in sides]
        corners += [(x - wide / 2, y + r), (x - wide / 2, y - r - tall)]
        free = [
            (_covered((*corner, corner[0] + wide, corner[1] + tall), inside), *corner)
            for corner in corners
            if corner[0] >= box.x0 - 20
            and corner[0] + wide <= box.x1 + 8
            and box.y0 <= corner[1] <= box.y1 - tall
            and not any(_overlap((*corner, corner[0] + wide, corner[1] + tall), other) for other in taken)
        ]
        covered, left, bottom = min(free, key=lambda corner: corner[0], default=(_COVERED + 1, 0.0, 0.0))
        if covered > _COVERED or rank - skipped >= _NAMED:
            skipped += 1
            continue
        taken.append((left, bottom, left + wide, bottom + tall))
        axes.text(
            left, bottom + tall / 2, words[place], transform=pixels(axes), size=_SIZE, color=INK, va="center_baseline"
        )
    if skipped:
        text = f"… {skipped:,} more out of bounds"
        axes.annotate(text, (1, 1), (0, 22), "axes fraction", "offset points", ha="right", size=11, color=WARN)


def _covered(box: tuple[float, ...], centres: Array) -> int:
    """How many bubbles within bounds a name would lie on."""
    x, y = centres.T
    return int(np.count_nonzero((x > box[0]) & (x < box[2]) & (y > box[1] - 4) & (y < box[3] + 4)))


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
