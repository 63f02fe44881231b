"""Two true levels and exact margins: the extreme worlds in closed form.

The margins of all candidates lie on one line, at places t, between the two rows of the judges, at places a and b, so
that π[c, 1] = (t[c] - a) / (b - a). Differences therefore vary between worlds by the one factor 1 / (b - a), and their
order by its sign.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from psymetric.sensitivity.identified_assumptions import JudgeLimits
from psymetric.sensitivity.identified_problem import World

__all__ = ["exact_worlds"]

Numbers = NDArray[np.float64]

_SAME = 1e-9
"""Places on the line that are one."""


def exact_worlds(shares: Numbers, limits: JudgeLimits) -> list[World] | None:
    """The extreme worlds behind exact margins of two true levels: every linear function of π has its ends among them.

    The admissible (a, b) form two rectangles, a below and b above all candidates or the reverse. A linear function of π
    is a ratio of linear functions of a, and of b, hence monotone in each of them: its ends are at the corners.

    Args:
        shares: Shape (judges, candidates, labels), not all candidates alike.
        limits: What is assumed of judges.

    Returns:
        Worlds at the corners, none where nothing reproduces the margins; None where all candidates are alike, so that
        no line is there.
    """
    n_judges, n_candidates, n_labels = shares.shape
    wide = shares.transpose(1, 0, 2).reshape(n_candidates, -1)
    centre = wide.mean(axis=0)
    _, sizes, directions = np.linalg.svd(wide - centre, full_matrices=False)
    if sizes[0] < _SAME:
        return None
    if len(sizes) > 1 and sizes[1] > _SAME * np.sqrt(n_candidates):
        return []
    slope, place = directions[0], (wide - centre) @ directions[0]
    # With two levels, what concerns both rows concerns their difference, (b - a) times the slope: a matter of its sign.
    used = np.abs(limits.rows).max(axis=2, initial=0) > 0
    both = limits.rows[used[:, 0] & used[:, 1]][:, 1]
    turn = both @ slope.reshape(n_judges, n_labels).T
    worlds: list[World] = []
    for upward in (True, False):
        ends = [_segment(centre, slope, limits, level) for level in (0, 1)]
        low, high = (0, 1) if upward else (1, 0)
        ends[low] = (ends[low][0], min(ends[low][1], place.min()))
        ends[high] = (max(ends[high][0], place.max()), ends[high][1])
        if any(end[0] > end[1] + _SAME for end in ends) or ((turn if upward else -turn) > _SAME).any():
            continue
        for a, b in product(ends[0], ends[1]):
            if abs(b - a) > _SAME:
                upper = np.clip((place - a) / (b - a), 0, 1)
                rows = (centre + np.outer([a, b], slope)).reshape(2, n_judges, n_labels).transpose(1, 0, 2)
                worlds.append(World(np.stack([1 - upper, upper], axis=1), np.clip(rows, 0, 1)))
    return worlds


def _segment(centre: Numbers, slope: Numbers, limits: JudgeLimits, level: int) -> tuple[float, float]:
    """Places on the line that the row of one level may take: its bounds, and the constraints on that row alone."""
    n_judges = len(limits.floor)
    alone = limits.rows[~np.delete(limits.rows, level, axis=1).any(axis=(1, 2))][:, level]
    turned = np.kron(np.eye(n_judges), alone)
    ahead = np.concatenate([slope, -slope, turned @ slope])
    room = np.concatenate(
        [
            limits.ceiling[:, level].ravel() - centre,
            centre - limits.floor[:, level].ravel(),
            -turned @ centre,
        ]
    )
    if (room[np.abs(ahead) < _SAME] < -_SAME).any():
        return np.inf, -np.inf
    steep = np.abs(ahead) >= _SAME
    at = room[steep] / ahead[steep]
    return float(at[ahead[steep] < 0].max()), float(at[ahead[steep] > 0].min())
