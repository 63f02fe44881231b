"""Three levels in a triangle: what a judge says of candidates, and what the candidates may truly be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from psymetric.data.coding import Label
from psymetric.data.messages import nearest
from psymetric.errors import DataError
from psymetric.plots.style import GRID, INK, LINE, SERIES, SOFT, panel_axes, shorten, style
from psymetric.sensitivity.identified import IdentifiedSet

__all__ = ["TernaryPanel", "TernaryRegion", "draw_ternary", "plot_ternary"]

Numbers = NDArray[np.float64]

_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_MOST = len(SERIES)


@final
@dataclass(frozen=True, eq=False)
class TernaryRegion:
    """One candidate.

    Attributes:
        name: Its name.
        point: Where it is, shape (3,); None draws none.
        draws: Where it may be, shape (draws, 3); an ellipse holds the given share of them. None draws none.
        hull: Points whose convex hull is outlined, shape (points, 3); None draws none.
    """

    name: str
    point: Numbers | None = None
    draws: Numbers | None = None
    hull: Numbers | None = None


@final
@dataclass(frozen=True, eq=False)
class TernaryPanel:
    """One triangle.

    Attributes:
        title: What its corners are about.
        corners: Names of the three levels, low to high.
        regions: The candidates.
        triangles: Triangles of a judge inside it, shape (draws, 3, 3), rows for true levels; the first is labelled.
    """

    title: str
    corners: tuple[str, str, str]
    regions: Sequence[TernaryRegion]
    triangles: Numbers | None = None


def plot_ternary(
    found: IdentifiedSet,
    *,
    candidates: Sequence[Label] | None = None,
    judge: Label | None = None,
    draws: Numbers | None = None,
    level: float = 0.95,
    width: float = 720,
) -> Figure:
    """Three labels and three true levels, side by side: what a judge says, and what the candidates may be.

    Left the share of each label that the judge gave every candidate, and the judge's triangle in two worlds: those at
    the lower end (whole) and the upper end (dashed) of the first two candidates' difference. A candidate is a mixture
    of the triangle's corners. Right the candidates' true levels: an outline around what the search found possible for a
    candidate (an inner bound, `IdentifiedSet.region`), and, where posterior draws are given, an ellipse with the given
    share of them. Where outlines overlap widely, a small ellipse owes its size to the prior.

    Args:
        found: What is identified, of three labels and three true levels.
        candidates: Which to draw, seven at most; by default the first ones.
        judge: Whose labels to draw on the left; by default the first judge's.
        draws: Posterior draws of the true levels, shape (draws, candidates, 3), in the order of `found`.
        level: Share of the draws in an ellipse, in (0, 1).
        width: Pixels at 72 per inch; under 480 the triangles stand one below the other.

    Raises:
        DataError: Other than three labels and levels, an unknown candidate or judge, or draws of another shape.
    """
    observed = found.observed
    if len(observed.labels) != 3 or len(found.values) != 3:
        raise DataError(
            f"plot_ternary: {len(observed.labels)} labels and {len(found.values)} true levels; a triangle takes three "
            "of each: merge categories (table.collapse_categories) to see it"
        )
    if draws is not None and (draws.ndim != 3 or draws.shape[1:] != (len(observed.candidates), 3)):
        raise DataError(f"plot_ternary: draws have shape {draws.shape}, not (draws, {len(observed.candidates)}, 3)")
    if not 0 < level < 1:
        raise DataError(f"plot_ternary: level={level} is not between 0 and 1")
    chosen = observed.candidates[:_MOST] if candidates is None else tuple(candidates)
    judges = [observed.judges[0] if judge is None else judge]
    for what, names, known in (("candidate", chosen, observed.candidates), ("judge", judges, observed.judges)):
        for name in names:
            if name not in known:
                raise DataError(f"plot_ternary: no {what} {name!r}; {nearest(name, known)}")
    if not 0 < len(chosen) <= _MOST:
        raise DataError(f"plot_ternary: {len(chosen)} candidates; from one to {_MOST} can be told apart")
    at, column = [observed.candidates.index(name) for name in chosen], observed.judges.index(judges[0])
    said = [TernaryRegion(str(observed.candidates[c]), observed.shares[column, c]) for c in at]
    true = [
        TernaryRegion(
            str(observed.candidates[c]),
            None if draws is None else draws[:, c].mean(axis=0),
            None if draws is None else draws[:, c],
            found.region(observed.candidates[c]),
        )
        for c in at
    ]
    pair = observed.candidates[:2]
    worlds = [found.world(*pair, end=end) for end in ("lower", "upper")]
    ends = np.stack([world.judges[judges[0]].to_numpy(np.float64) for world in worlds])
    corners = [str(label) for label in observed.labels]
    levels = [f"{value:g}" for value in found.values]
    panels = [
        TernaryPanel(f"labels of {judges[0]}", (corners[0], corners[1], corners[2]), said, ends),
        TernaryPanel("true levels", (levels[0], levels[1], levels[2]), true),
    ]
    return draw_ternary(panels, width=width, level=level)


def draw_ternary(panels: Sequence[TernaryPanel], *, width: float, level: float = 0.95) -> Figure:
    """Triangles of three levels, with candidates named beside their marks.

    Args:
        panels: What to draw.
        width: Pixels; under 480 panels stand one below the other.
        level: Share of a candidate's draws that its ellipse holds.
    """
    across = 1 if width < 480 else min(2, len(panels))
    wide = (width - 24 - 36 * (across - 1) - 8) / across
    with style():
        figure, axes = panel_axes(width, len(panels), across=across, tall=0.92 * wide, left=24, gap=36, head=26, foot=8)
        for each, panel in zip(axes, panels, strict=True):
            _triangle(each, panel)
            for row in range(0 if panel.triangles is None else len(panel.triangles)):
                _judge(each, panel.triangles[row] if panel.triangles is not None else np.eye(3), world=row)
            for place, region in enumerate(panel.regions):
                _candidate(each, region, place, level=level)
        return figure


def _flat(points: Numbers) -> Numbers:
    """Places in the plane, shape (points, 2)."""
    return np.atleast_2d(points) @ _CORNERS


def _triangle(axes: Axes, panel: TernaryPanel) -> None:
    """The frame, with lines at every fifth of each level."""
    axes.set(xlim=(-0.06, 1.06), ylim=(-0.1, 0.95), aspect="equal")
    axes.axis("off")
    for share in (0.2, 0.4, 0.6, 0.8):
        for corner in range(3):
            ends = np.zeros((2, 3))
            ends[:, corner] = share
            ends[0, (corner + 1) % 3] = ends[1, (corner + 2) % 3] = 1 - share
            axes.plot(*_flat(ends).T, color=GRID, lw=0.8, zorder=0)
    axes.add_patch(Polygon(_CORNERS, closed=True, fill=False, edgecolor=LINE, lw=1.2))
    for place, (name, side, shift) in enumerate(
        zip(panel.corners, ("left", "right", "center"), (-0.05, -0.05, 0.03), strict=True)
    ):
        x, y = _CORNERS[place]
        axes.text(x, y + shift, shorten(name, 14), ha=side, va="top" if place < 2 else "bottom", size=11.5, color=SOFT)
    axes.annotate(shorten(panel.title, 40), (0, 1), (0, 8), "axes fraction", "offset points", size=12)


def _judge(axes: Axes, triangle: Numbers, *, world: int) -> None:
    """A judge's rows as a triangle: whole in one world, dashed in the other."""
    corners = _flat(triangle)
    dash = "-" if world == 0 else (0, (4, 2))
    axes.add_patch(Polygon(corners, closed=True, fill=False, edgecolor=INK, lw=1.3, ls=dash, zorder=2))


def _candidate(axes: Axes, region: TernaryRegion, place: int, *, level: float) -> None:
    """Outline, ellipse and mark in one colour, with the name beside the mark."""
    colour, mark = SERIES[place % _MOST], _MARKS[place % len(_MARKS)]
    anchor = None
    if region.hull is not None:
        outline = _outline(_flat(region.hull))
        axes.add_patch(Polygon(outline, closed=True, facecolor=colour, alpha=0.1, zorder=1))
        axes.add_patch(Polygon(outline, closed=True, fill=False, edgecolor=colour, lw=1.6, zorder=3))
        anchor = outline[outline[:, 1].argmax() if place % 2 == 0 else outline[:, 1].argmin()]
    if region.draws is not None:
        axes.add_patch(
            Polygon(_ellipse(_flat(region.draws), level), closed=True, facecolor=colour, alpha=0.35, zorder=3)
        )
    if region.point is not None:
        anchor = _flat(region.point)[0]
        axes.plot(*anchor, mark, ms=6.5, color=colour, zorder=4)
    if anchor is not None:
        up = 1 if place % 2 == 0 else -1
        axes.annotate(
            shorten(region.name, 22),
            (float(anchor[0]), float(anchor[1])),
            (6, 6 * up),
            textcoords="offset points",
            va="bottom" if up > 0 else "top",
            size=11.5,
            color=colour,
            zorder=5,
        )


def _outline(points: Numbers) -> Numbers:
    """Corners of the convex hull; the points themselves where they lie on a line."""
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        low, high = points.argmin(axis=0)[0], points.argmax(axis=0)[0]
        return points[[low, high]]


def _ellipse(points: Numbers, level: float) -> Numbers:
    """The ellipse of the points' covariance that holds the given share of them."""
    centre, around = points.mean(axis=0), np.linspace(0, 2 * np.pi, 73)
    spread = np.linalg.cholesky(np.cov(points.T) + 1e-10 * np.eye(2))
    distance = np.sqrt((np.linalg.solve(spread, (points - centre).T) ** 2).sum(axis=0))
    radius = float(np.quantile(distance, level))
    return centre + radius * np.stack([np.cos(around), np.sin(around)], axis=1) @ spread.T
