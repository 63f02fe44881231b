"""Rank and fibre against the counts by hand; item-level identification against Kruskal's condition and Jacobians."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError
from psymetric.sensitivity.identified_items import kruskal_sum
from psymetric.sensitivity.identified_rank import fibre_dimension


@pytest.mark.parametrize(
    ("candidates", "judges", "levels", "labels"), [(2, 1, 2, 2), (5, 1, 3, 3), (6, 3, 3, 4), (7, 2, 4, 4)]
)
def test_rank_is_that_of_the_closed_form(candidates: int, judges: int, levels: int, labels: int) -> None:
    met = np.ones((judges, candidates), bool)
    found = fibre_dimension(met, n_levels=levels, n_labels=labels, known=np.zeros(judges, bool))
    # C points in an unknown simplex: the changes of its M corners within their plane show nowhere.
    assert found.parameters == candidates * (levels - 1) + judges * levels * (labels - 1)
    assert found.fibre == levels * (levels - 1)
    assert found.observed == candidates * judges * (labels - 1)
    assert not found.means
    assert not found.differences


def test_few_candidates_leave_more_open_and_known_judges_nothing() -> None:
    few = fibre_dimension(np.ones((1, 2), bool), n_levels=3, n_labels=3, known=np.zeros(1, bool))
    assert (few.parameters, few.rank, few.fibre) == (10, 4, 6)
    known = fibre_dimension(np.ones((2, 4), bool), n_levels=3, n_labels=3, known=np.array([True, False]))
    assert known.fibre == 0
    assert known.means
    assert "fix all" in known.describe()
    narrow = fibre_dimension(np.ones((1, 4), bool), n_levels=3, n_labels=2, known=np.ones(1, bool))
    # A binary label of a known judge gives one equation for the two unknowns of a candidate.
    assert (narrow.fibre, narrow.means) == (4, False)


@pytest.mark.parametrize(
    ("judges", "labels", "levels", "candidates", "total"),
    [
        (1, 3, 3, 5, 0),
        (2, 3, 3, 1, 0),
        (2, 2, 2, 2, 6),  # Hui & Walter (1980): two tests, two populations
        (2, 3, 3, 2, 8),
        (3, 3, 3, 1, 9),
        (3, 2, 3, 1, 6),  # three binary labels cannot carry three classes: 6 < 8
        (5, 2, 4, 1, 10),  # Allman et al. (2009), corollary 5: 2 ceil(log2 4) + 1 = 5 binary variables for 4 classes
        (4, 2, 4, 1, 8),
    ],
)
def test_kruskal_sums(judges: int, labels: int, levels: int, candidates: int, total: int) -> None:
    assert kruskal_sum(judges, labels, levels, n_candidates=candidates) == total


@pytest.mark.parametrize(
    ("judges", "candidates", "levels"), [(1, 3, 2), (2, 1, 2), (2, 2, 2), (3, 1, 2), (2, 2, 3), (3, 1, 3)]
)
def test_kruskal_agrees_with_the_rank_of_item_level_shares(judges: int, candidates: int, levels: int) -> None:
    """The derivative of all joint shares by the parameters has full rank where the condition holds, and only there."""
    rng = np.random.default_rng(1)
    free = rng.uniform(0.2, 1, candidates * (levels - 1) + judges * levels * (levels - 1))

    def joint(point: np.ndarray) -> np.ndarray:
        raw = np.concatenate([np.ones((len(point) // (levels - 1), 1)), point.reshape(-1, levels - 1)], axis=1)
        rows = raw / raw.sum(axis=1, keepdims=True)
        truth, theta = rows[:candidates], rows[candidates:].reshape(judges, levels, levels)
        cells = [
            truth @ np.prod([theta[j][:, label] for j, label in enumerate(labels)], axis=0)
            for labels in product(range(levels), repeat=judges)
        ]
        return np.concatenate(cells)

    step = 1e-6
    slopes = np.stack([(joint(free + d) - joint(free - d)) / (2 * step) for d in step * np.eye(len(free))], axis=1)
    full = np.linalg.matrix_rank(slopes, tol=1e-6) == len(free)
    assert full == (kruskal_sum(judges, levels, levels, n_candidates=candidates) >= 2 * levels + 2)


def labelled(design: list[tuple[str, str, str]]) -> ps.ResponseTable:
    frame = pd.DataFrame(design, columns=["model", "question", "judge"])
    frame["label"] = np.arange(len(frame)) % 3
    return ps.ResponseTable.from_frame(
        frame, response="label", subject="model", item="question", facets=("judge",), categories=[0, 1, 2]
    )


def test_designs_of_one_two_and_three_judges() -> None:
    everyone = [(m, q, j) for m in "AB" for q in ("q1", "q2") for j in "xyz"]
    full = ps.item_identification(labelled(everyone))
    assert full.identified == "alone"
    assert full.designs[["judges", "items", "ranks_alone", "needed"]].to_numpy().tolist() == [[3, 4, 9, 8]]
    two = ps.item_identification(labelled([row for row in everyone if row[2] != "z"]))
    assert two.identified == "together"
    assert "treat candidates alike" in two.describe()
    apart = ps.item_identification(labelled([(m, q, j) for m, q, j in everyone if (q == "q1") == (j == "x")]))
    assert apart.judges.set_index("judge")["identified"].to_dict() == {"x": "no", "y": "together", "z": "together"}
    assert apart.identified == "no"
    assert "three judges or more" in apart.describe()


def test_bad_designs_are_refused() -> None:
    table = labelled([("A", "q1", "x"), ("B", "q1", "x"), ("A", "q2", "x")])
    with pytest.raises(DataError, match="no facet 'rater'"):
        ps.item_identification(table, judge="rater")
    with pytest.raises(DataError, match="n_levels=1"):
        ps.item_identification(table, n_levels=1)
