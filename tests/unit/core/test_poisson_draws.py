"""Poisson numbers by tables against their distribution."""

from __future__ import annotations

import numpy as np
from scipy.stats import chisquare, poisson

from psymetric.core.poisson_draws import PoissonTable


def test_counts_follow_their_distribution():
    """Four means, 40,000 draws each; counts expected fewer than five times are pooled."""
    mean = np.array([0.3, 4.0, 25.0, 250.0])
    drawn = PoissonTable.build(np.repeat(mean, 40_000)).draw(np.random.default_rng(5)).reshape(4, -1)
    for each, counts in zip(mean, drawn, strict=True):
        expected = poisson.pmf(np.arange(400), each) * counts.size
        seen = np.bincount(counts.astype(int), minlength=400)
        often = expected >= 5
        p = chisquare(
            [*seen[often], seen[~often].sum()], [*expected[often], counts.size - expected[often].sum()]
        ).pvalue
        # One in a thousand runs of a correct table, and the seed is fixed.
        assert p > 1e-3, each


def test_large_means_and_zero():
    mean = np.array([0.0, 1e6, 2.0])
    drawn = PoissonTable.build(mean).draw(np.random.default_rng(1))
    assert drawn[0] == 0
    assert abs(drawn[1] - 1e6) < 5e3
    np.testing.assert_array_equal(drawn, PoissonTable.build(mean).draw(np.random.default_rng(1)))
