"""How often judges who rated the same thing chose the same category, and how often the fit expects them to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.moments import Measured
from psymetric.scoring.likelihood import probabilities

__all__ = ["ExactAgreement", "exact_agreement"]

Array = NDArray[np.float64]

_DRAWS = 20
"""Draws of the subjects over which the expected agreement is averaged; its Monte Carlo error is far below a percent."""


@final
@dataclass(frozen=True)
class ExactAgreement:
    """Agreement of pairs of judges on the same subject under the same other facets.

    Attributes:
        opportunities: Pairs of responses by different judges to the same thing (products of weights).
        observed: Pairs in the same category.
        expected: Pairs the fit expects in the same category.
    """

    opportunities: float
    observed: float
    expected: float

    @property
    def observed_share(self) -> float:
        """Observed agreement, in [0, 1]."""
        return self.observed / self.opportunities

    @property
    def expected_share(self) -> float:
        """Agreement expected by the fit, in [0, 1]."""
        return self.expected / self.opportunities

    @property
    def rasch_kappa(self) -> float:
        """(observed − expected) / (1 − expected): near 0 for judges as independent as the fit takes them."""
        return (self.observed_share - self.expected_share) / (1 - self.expected_share)


def exact_agreement(measured: Measured, table: ResponseTable, facet: str, *, seed: int = 0) -> ExactAgreement | None:
    """Exact agreement between the levels of a facet; None where no two levels met the same thing.

    Two ratings by one judge of one thing are not compared. Expected agreement treats judges as independent given where
    the subject stands with each, whose uncertainty is averaged over by draws.

    Args:
        measured: The rows.
        table: Their table: what judges share is the same level of every other facet.
        facet: Usually "judge".
        seed: Seed of the draws.

    Source: Linacre, FACETS manual, Table 7 (inter-rater agreement).
    """
    rows = measured.rows
    group = _same_thing(table, facet)
    n_levels = len(table.levels[facet])
    single, cell = np.unique(group * n_levels + table.codes[facet], return_inverse=True)
    weight = np.where(measured.extreme, 0.0, rows.weight)
    sizes = int(group.max()) + 1, len(single)
    codes = group, cell.reshape(-1)
    opportunities = _pairs(codes, sizes, weight[:, None])
    if opportunities <= 0:
        return None
    chosen = np.zeros((len(weight), rows.n_outcomes))
    chosen[np.arange(len(weight)), rows.response] = weight
    observed = _pairs(codes, sizes, chosen)
    places = measured.positions
    draws = measured.abilities.theta if places is None else places.drawn(_DRAWS, np.random.default_rng(seed))
    one = np.ones((len(draws), 1))
    each = [
        _pairs(codes, sizes, weight[:, None] * probabilities(rows, draws[:, [place]], one))
        for place in range(draws.shape[1])
    ]
    return ExactAgreement(opportunities, observed, float(np.mean(each)))


def _same_thing(table: ResponseTable, facet: str) -> NDArray[np.int64]:
    """Number of the combination of all other facets, shape (R,)."""
    group = np.zeros(table.n_rows, np.int64)
    for name, code in table.codes.items():
        if name != facet:
            # Renumbered at every facet, so that many facets with many levels do not overflow.
            group = np.unique(group * len(table.levels[name]) + code, return_inverse=True)[1].reshape(-1)
    return group


def _pairs(codes: tuple[NDArray[Any], NDArray[Any]], sizes: tuple[int, int], values: Array) -> float:
    """Products of values over pairs of rows in one group but not one cell, summed over columns."""
    total = 0.0
    for column in values.T:
        group, cell = (np.bincount(code, column, size) for code, size in zip(codes, sizes, strict=True))
        total += float(group @ group - cell @ cell) / 2
    return total
