"""Exact distribution of scores against enumeration, and the normal law where the lattice is too long."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from psymetric.diagnostics import pair_sums as module
from psymetric.diagnostics.pair_sums import pair_sums

CHANCES = np.array([[0.5, 0.2, 0.3], [0.1, 0.85, 0.05], [0.7, 0.3, 0.0]])
SHARE = (1.0, 0.0, 0.5)


def enumerated(kinds: list[int], turned: list[bool]) -> dict[float, float]:
    """Chance of every score of the first side, by going through all outcomes."""
    found: dict[float, float] = {}
    for outcomes in product(range(3), repeat=len(kinds)):
        chance, score = 1.0, 0.0
        for kind, flip, outcome in zip(kinds, turned, outcomes, strict=True):
            chance *= CHANCES[kind, outcome]
            score += 1 - SHARE[outcome] if flip else SHARE[outcome]
        found[score] = found.get(score, 0.0) + chance
    return found


def sums(cells: list[tuple[list[int], list[bool], list[int]]], weight: list[list[float]] | None = None):
    owner = np.repeat(np.arange(len(cells)), [len(kinds) for kinds, _, _ in cells])
    kind, turned, response = (np.concatenate([np.array(cell[part]) for cell in cells]) for part in range(3))
    weights = np.ones(len(owner)) if weight is None else np.concatenate([np.array(part) for part in weight])
    return pair_sums(
        owner, kind, turned.astype(bool), response.astype(np.int32), weights, probability=CHANCES, n_cells=len(cells)
    )


CELLS = [
    ([0, 0, 1, 2, 0], [False, True, False, True, False], [0, 2, 1, 0, 2]),
    ([1], [True], [1]),
    ([2, 2, 2, 2], [False, False, False, False], [0, 0, 1, 0]),
    ([0, 1, 0, 1, 2, 2, 1], [True, True, False, False, True, False, True], [2, 2, 2, 0, 1, 1, 0]),
]


def test_every_number_is_that_of_enumeration() -> None:
    found = sums(CELLS)
    for place, (kinds, turned, response) in enumerate(CELLS):
        chance = enumerated(kinds, turned)
        score = sum(1 - SHARE[x] if flip else SHARE[x] for flip, x in zip(turned, response, strict=True))
        mean = sum(s * p for s, p in chance.items())
        assert found.n[place] == len(kinds)
        assert found.score[place] == score
        assert found.expected[place] == pytest.approx(mean, rel=1e-12)
        assert found.variance[place] == pytest.approx(sum((s - mean) ** 2 * p for s, p in chance.items()), rel=1e-12)
        half = len(kinds) / 2
        # 1e-12 is what the transform promises.
        assert found.at_most[place] == pytest.approx(sum(p for s, p in chance.items() if s <= score), abs=1e-12)
        assert found.at_least[place] == pytest.approx(sum(p for s, p in chance.items() if s >= score), abs=1e-12)
        assert found.ahead[place] == pytest.approx(sum(p for s, p in chance.items() if s > half), abs=1e-12)
        assert found.behind[place] == pytest.approx(sum(p for s, p in chance.items() if s < half), abs=1e-12)


def test_a_weight_is_so_many_rows() -> None:
    weighted = sums([([0, 1], [False, True], [2, 0])], [[3.0, 2.0]])
    written = sums([([0, 0, 0, 1, 1], [False, False, False, True, True], [2, 2, 2, 0, 0])])
    for name in ("n", "score", "expected", "variance", "at_most", "at_least", "ahead", "behind"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(written, name), rtol=0, atol=1e-12)


def test_without_ties_it_is_binomial() -> None:
    found = sums([([2] * 80, [False] * 80, [0] * 62 + [1] * 18)])
    assert found.at_least[0] == pytest.approx(binom.sf(61, 80, 0.7), abs=1e-12)
    assert found.behind[0] == pytest.approx(binom.cdf(39, 80, 0.7), abs=1e-12)


@pytest.mark.parametrize("n", [400, 401])
def test_long_cells_have_the_normal_law(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [([0] * n, [False] * n, [0] * 190 + [1] * (n - 190)), ([2] * n, [False] * n, [0] * 262 + [1] * (n - 262))]
    exact = sums(cells)
    monkeypatch.setattr(module, "_WORK", 100)
    normal = sums(cells)
    for name in ("at_most", "at_least", "ahead", "behind"):
        # Berry and Esseen's bound at 400 comparisons is .02; with the lattice corrected only skewness is left.
        np.testing.assert_allclose(getattr(normal, name), getattr(exact, name), rtol=0, atol=2e-3)
    assert normal.at_most[0] != exact.at_most[0]


def test_fractions_of_comparisons_have_the_normal_law_and_no_row_no_number() -> None:
    found = pair_sums(
        np.array([0, 0]),
        np.array([0, 1]),
        np.array([False, False]),
        np.array([0, 1], np.int32),
        np.array([2.5, 1.0]),
        probability=CHANCES,
        n_cells=2,
    )
    assert 0 < found.at_most[0] < 1
    assert np.isnan(found.at_most[1])
    assert found.n.tolist() == [3.5, 0.0]
