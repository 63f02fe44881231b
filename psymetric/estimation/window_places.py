"""Where the windows of an integral lie: under every subject's posterior, with nodes that resolve it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from psymetric.estimation.windows import Integral, all_moments
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD

__all__ = ["COARSE", "Accuracy", "accuracy", "place_windows", "still_placed"]

Vector = NDArray[np.float64]

_ROUNDS = 12
_SHIFT, _RATIO = 0.4, 1.2
"""A window is moved when the posterior mean lies this many sds from its centre, or the sd differs by this factor."""
_NODES = (7, 9, 11, 13, 15, 17, 21, 25, 31, 41, 57, 81, 121, 161)
"""Numbers of nodes along a dimension to choose from: few, so that compiled programs are shared."""
_MOST_NODES = {1: 161, 2: 161, 3: 41, 4: 17}
"""Most nodes along a dimension; eleven beyond four dimensions."""


@final
@dataclass(frozen=True)
class Accuracy:
    """How far windows reach, and how far their nodes may lie apart, in posterior sds."""

    reach: float
    spacing: float

    @property
    def n_nodes(self) -> int:
        """Nodes along a dimension that this takes."""
        return 1 + 2 * int(np.ceil(self.reach / self.spacing))


COARSE = Accuracy(4.0, 1.4)
"""Good enough to climb on: errors of about 1e-4."""


def accuracy(n_dimensions: int) -> Accuracy:
    """What can be afforded: errors of about 1e-9 for one and two dimensions, 1e-8 for three, 1e-5 from four on."""
    known = {1: Accuracy(8.0, 0.8), 2: Accuracy(7.5, 0.75), 3: Accuracy(6.0, 1.0), 4: Accuracy(5.0, 1.1)}
    return known.get(n_dimensions, Accuracy(4.5, 1.2))


def place_windows(integral: Integral, params: Mapping[str, Any], wanted: Accuracy) -> tuple[Integral, float]:
    """Windows under every subject's posterior, and the largest spacing of their nodes in its sds.

    Found by reading the posterior's mean and sd on a window and moving it there, from the population's on. Strong
    posterior correlation takes more nodes: along the difference of two dimensions the posterior is then narrow.
    """
    n_dims, n = integral.n_dimensions, integral.n_subjects
    n_nodes = max(integral.n_nodes, _nodes_for(wanted, 1.0, n_dims))
    centre = np.tile(np.asarray(params[POPULATION_MEAN], np.float64), (n, 1))
    sd, narrow = np.tile(np.asarray(params[POPULATION_SD], np.float64), (n, 1)), 1.0
    for _ in range(_ROUNDS):
        integral = integral.with_windows(params, centre, 2 * wanted.reach * sd / (n_nodes - 1), n_nodes)
        found = all_moments(integral, params)
        mean, spread = np.asarray(found.mean), np.asarray(found.sd)
        # A posterior narrower than the spacing hides in one node, and its sd reads as nearly zero.
        spread = np.maximum(spread, np.asarray(integral.subjects.spacing) / 4)
        is_there = _fits(mean, spread, centre, sd)
        narrow = narrowest(np.asarray(found.covariance)) if is_there else 1.0
        needed = _nodes_for(wanted, narrow, n_dims)
        if is_there and needed <= n_nodes:
            break
        centre, sd, n_nodes = mean, spread, max(n_nodes, needed)
    return integral, 2 * wanted.reach / (n_nodes - 1) / min(narrow, 1.0)


def _nodes_for(wanted: Accuracy, narrow: float, n_dims: int) -> int:
    """Nodes along a dimension whose spacing resolves a posterior that is `narrow` along some direction."""
    needed = min(1 + 2 * wanted.reach / (wanted.spacing * min(narrow, 1.0)), _MOST_NODES.get(n_dims, 11))
    return next(n for n in _NODES if n >= needed)


def still_placed(integral: Integral, params: Mapping[str, Any], reach: float) -> bool:
    """Whether the windows still lie under the posteriors at other parameters."""
    found = all_moments(integral, params)
    sd = np.asarray(integral.subjects.spacing) * (integral.n_nodes - 1) / (2 * reach)
    return _fits(np.asarray(found.mean), np.asarray(found.sd), np.asarray(integral.subjects.centre), sd)


def _fits(mean: Vector, spread: Vector, centre: Vector, sd: Vector) -> bool:
    shift, ratio = np.abs(mean - centre) / sd, spread / sd
    return bool(shift.max() < _SHIFT and ratio.max() < _RATIO and ratio.min() > 1 / _RATIO)


def narrowest(covariance: Vector) -> float:
    """Smallest sd, over subjects, of an integer combination of the standardised dimensions; one if uncorrelated."""
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / (sd[:, :, None] * sd[:, None, :])
    n_dims = sd.shape[1]
    whole = np.array([k for k in product((-1, 0, 1), repeat=n_dims) if any(k)], np.float64)
    return float(np.sqrt(np.maximum(np.einsum("ki,sij,kj->sk", whole, correlation, whole), 1e-6).min()))
