"""How many nodes a grid over one ability needs, and how far it reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from psymetric.models.base import Table

__all__ = ["FIRST_HALF_WIDTH", "LARGE", "first_grid", "needed_grid"]

Vector = NDArray[np.float64]

_GRIDS = (61, 73, 87, 103, 121, 145, 171, 205, 241, 289, 341, 409, 481, 577, 681, 961, 1361, 1921, 2717, 3841)
"""Node counts to choose from: few, so that compiled programs are shared, and close enough to waste little."""
FIRST_HALF_WIDTH = 6.0
_SPACING = 1.0
"""Largest node spacing, in sds of the narrowest posterior: the rectangle rule then errs by about 3e-9."""
_EDGE, _REACH = 1e-8, 6.0
"""Posterior mass that an end node may hold, since about as much lies beyond it; a grid that is too short is made to
reach this many posterior sds beyond every posterior mean."""
LARGE = 20_000
"""Responses from which on evaluating a grid costs more than compiling for another."""


def first_grid(table: Table) -> int:
    """Nodes that resolve the best-measured subject, so that no program is compiled for a grid soon left.

    Supposes θ of variance 1 on large tables and 2 on small ones, where compiling costs more than nodes do.
    """
    n_most = float(np.bincount(table.codes["subject"], weights=table.weight).max())
    variance = 1 if len(table.response) >= LARGE else 2
    per_response = variance * (len(table.categories) ** 2 - 1) / 24
    return _grid_for(2 * FIRST_HALF_WIDTH / _SPACING * np.sqrt(1 + n_most * per_response))


def _grid_for(n_nodes: float) -> int:
    return next((grid for grid in _GRIDS if grid > n_nodes), _GRIDS[-1])


def needed_grid(nodes: Vector, mean: Vector, sd: Vector, at_end: float) -> tuple[int, float]:
    """Nodes and half-width of the grid that resolves all posteriors; those of `nodes` where they do.

    Args:
        nodes: The present grid.
        mean: Posterior means of the subjects on it.
        sd: Posterior sds.
        at_end: Largest mass of any posterior at an end node.
    """
    n_nodes, spacing = len(nodes), float(nodes[1] - nodes[0])
    half_width = float(nodes[-1])
    if at_end > _EDGE:
        # Beyond the responses' reach a posterior falls as the population does.
        fallen = np.sqrt(half_width**2 + 2 * np.log(at_end / _EDGE))
        half_width = max(half_width + 1, float(np.ceil(max(np.max(np.abs(mean) + _REACH * sd), fallen))))
    # A posterior narrower than the spacing hides in one node, and its sd reads as nearly zero: refine step by step.
    narrowest = max(float(sd.min()), spacing / 4)
    if narrowest * _SPACING >= spacing and half_width <= float(nodes[-1]):
        return n_nodes, half_width
    return max(n_nodes, _grid_for(2 * half_width / (_SPACING * narrowest))), half_width
