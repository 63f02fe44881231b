"""Priors of the simplex judge: moves that keep every margin, labels of pairs, tipping points, the counter-example."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.ordered_rows import pooling
from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.plots.prior_sensitivity import draw_prior_sensitivity
from psymetric.sensitivity.prior_pairs import order_probabilities, robustness, tipping_value
from psymetric.sensitivity.prior_swaps import swap_moves

MARGINS = np.array([[0.32, 0.39, 0.29], [0.38, 0.25, 0.37]])
USABLE = np.ones(3, bool)


def margins_table(n: float, margins: np.ndarray = MARGINS) -> ps.ResponseTable:
    rows = [("AB"[c], "j", k + 1, n * share) for (c, k), share in np.ndenumerate(margins)]
    frame = pd.DataFrame(rows, columns=["model", "judge", "label", "n"])
    return ps.ResponseTable.from_frame(frame, response="label", subject="model", facets="judge", weight="n")


def test_the_two_worlds_of_the_specification_have_the_same_margins() -> None:
    first = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0, 0, 1]]), np.array([[0.1, 0.9, 0], [0.7, 0.1, 0.2]])
    second = (
        np.array([[0.8, 0.2, 0], [0.3, 0.4, 0.3], [0.3, 0.2, 0.5]]),
        np.array([[0.04, 0.95, 0.01], [0.16, 0.25, 0.59]]),
    )
    for theta, pi in (first, second):
        assert np.allclose(pi @ theta, MARGINS, atol=1e-12)
    gaps = [float((pi[0] - pi[1]) @ [1, 2, 3]) for _, pi in (first, second)]
    assert gaps == pytest.approx([0.40, -0.46])


def test_moves_keep_every_margin_and_the_order() -> None:
    rng = np.random.default_rng(0)
    with double_precision():
        share, rows = rng.dirichlet(np.ones(3), (4, 1)), rng.dirichlet([6, 2, 2], (2, 1, 3))
        pooled = jax.device_put(pooling("none", 3))
        new_share, new_rows = swap_moves(
            jax.random.key(0), share, rows, pooled=pooled, truth_counts=np.ones(3), label_counts=np.ones((3, 3))
        )
    before, after = (np.einsum("csm,jsmk->cjk", *pair) for pair in ((share, rows), (new_share, new_rows)))
    assert np.allclose(before, after, atol=1e-12)
    assert not np.allclose(share, new_share)
    assert np.all(np.asarray(new_rows) > 0)
    assert np.all(np.asarray(new_share) > 0)


@pytest.mark.thorough
def test_moves_leave_the_prior_as_it_is() -> None:
    """Draws of the prior, moved many times, are draws of the prior: means within their Monte Carlo errors."""
    rng, n = np.random.default_rng(1), 20_000
    counts = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 1.0], [0.5, 1.0, 3.0]])
    share = rng.dirichlet([1.0, 2.0, 1.5], (n, 2, 1))
    rows = np.stack([rng.dirichlet(row, (n, 2, 1)) for row in counts], axis=3)
    with double_precision():
        pooled = jax.device_put(pooling("none", 3))

        def moved(key, pi, theta):
            return swap_moves(
                key, pi, theta, pooled=pooled, truth_counts=np.array([1.0, 2.0, 1.5]), label_counts=counts
            )

        for seed in range(5):
            share, rows = jax.jit(jax.vmap(moved))(jax.random.split(jax.random.key(seed), n), share, rows)
    share, rows = np.asarray(share)[:, 0, 0], np.asarray(rows)[:, 0, 0]
    for found, alpha in ((share, np.array([1.0, 2.0, 1.5])), *((rows[:, m], counts[m]) for m in range(3))):
        mean = alpha / alpha.sum()
        variance = mean * (1 - mean) / (alpha.sum() + 1)
        assert np.all(np.abs(found.mean(axis=0) - mean) < 4.5 * np.sqrt(variance / n))
        spread = np.sqrt((np.square(found - mean) - variance).var(axis=0) / n)
        assert np.all(np.abs(np.square(found - mean).mean(axis=0) - variance) < 4.5 * spread)


def test_probabilities_of_order_count_ties_by_half() -> None:
    above = order_probabilities(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [3.0, 0.0]]))
    assert above.tolist() == [[0.5, 0.625], [0.375, 0.5]]


@pytest.mark.parametrize(
    ("above", "usable", "identified", "label"),
    [
        ([0.97, 0.96, 0.99], USABLE, "no", "robust"),
        ([0.01, 0.02, 0.03], USABLE, None, "robust"),
        ([0.97, 0.60, 0.99], USABLE, None, "sensitive"),
        ([0.97, 0.60, 0.99], USABLE, "no", "not identified"),
        ([0.97, 0.60, 0.02], USABLE, "undecided", "sensitive"),
        ([0.60, 0.70, 0.55], USABLE, "sign", "undecided"),
        ([0.97, np.nan, 0.99], np.array([True, False, True]), None, "unknown"),
        ([np.nan, 0.99, 0.99], np.array([False, True, True]), None, "unknown"),
    ],
)
def test_labels_of_pairs(above: list[float], usable: np.ndarray, identified: str | None, label: str) -> None:
    assert robustness(np.array(above), usable, 0, 0.95, identified) == label


def test_tipping_point_is_where_the_line_crosses() -> None:
    stated = np.array([0.90, 0.97, 0.99, 0.93])
    assert tipping_value([0.2, 0.4, 0.6, 0.8], stated, np.ones(4, bool), 2, 0.95) == pytest.approx(0.6 + 0.2 * 4 / 6)
    assert tipping_value([0.2, 0.4, 0.6], stated[:3], np.ones(3, bool), 2, 0.95) == pytest.approx(0.4 - 0.2 * 2 / 7)
    assert tipping_value([0.2, 0.4, 0.6], stated[:3], np.array([True, False, True]), 2, 0.95) is None
    assert tipping_value(["none", "lowest"], np.array([0.97, 0.5]), np.ones(2, bool), 0, 0.95) == "lowest"
    assert tipping_value([0.2, 0.4], np.array([0.9, 0.9]), np.ones(2, bool), 0, 0.95) is None


def test_bad_settings_are_refused() -> None:
    table = margins_table(100)
    with pytest.raises(DataError, match="got a DawidSkene; the grid is of priors of a SimplexJudge"):
        ps.prior_sensitivity(ps.DawidSkene(), table)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=r"threshold=0\.3"):
        ps.prior_sensitivity(ps.SimplexJudge(), table, threshold=0.3)
    with pytest.raises(DataError, match="chains=1 needs 2"):
        ps.prior_sensitivity(ps.SimplexJudge(), table, chains=1)


@pytest.mark.thorough
@pytest.mark.parametrize("n", [100, 10_000, 1_000_000])
def test_probability_of_order_moves_with_the_prior_however_many_labels(n: int) -> None:
    grid = ps.prior_sensitivity(
        ps.SimplexJudge(prior_labels=20.0),
        margins_table(n),
        quality=(0.3, 0.9),
        prior_labels=(3.0, 20.0),
        candidate_sd=(0.0,),
        order=("none", "stochastic"),
        identified=pd.DataFrame({"first": ["A"], "second": ["B"], "identified": ["no"]}),
    )
    pair = grid.pairs().iloc[0]
    assert pair["label"] == "not identified"
    # At n = 100 the labels leave more than the prior does; the Monte Carlo error of a probability is below .05.
    assert pair["highest"] - pair["lowest"] > (0.05 if n == 100 else 0.15)
    assert "not identified" in grid.summary()


def test_identified_pairs_of_other_candidates_are_refused() -> None:
    strangers = pd.DataFrame({"first": ["A"], "second": ["C"], "identified": ["no"]})
    with pytest.raises(DataError, match=r"identified= is of \['C'\], no candidates of this table"):
        ps.prior_sensitivity(ps.SimplexJudge(), margins_table(100), identified=strangers)


@pytest.mark.thorough
def test_counter_example_is_named_not_identified_by_set_and_grid_together() -> None:
    table = margins_table(100_000)
    found = ps.identified_set(table)
    ends = found.differences.iloc[0]
    assert ends["identified"] == "no"
    # Both worlds of the specification are inside.
    assert ends["lower"] <= -0.46 < 0.40 <= ends["upper"]
    grid = ps.prior_sensitivity(
        ps.SimplexJudge(prior_labels=20.0),
        table,
        quality=(0.3, 0.9),
        prior_labels=(),
        candidate_sd=(),
        order=(),
        identified=found.differences,
    )
    assert grid.pairs()["label"].tolist() == ["not identified"]
    assert "more labels of these judges do not narrow it" in grid.summary()
    assert any("driven by the prior" in note for note in grid.notes)
    figure = ps.plot_prior_sensitivity(grid)
    assert next(label.get_text() for label in figure.axes[0].get_yticklabels()) in ("A over B", "B over A")
    assert "not identified" in [text.get_text() for text in figure.axes[0].texts]


def test_figure_of_a_pair_without_a_usable_prior_has_its_label_alone() -> None:
    above = np.array([[0.6, 0.8, 0.7], [np.nan, np.nan, np.nan]])
    figure = draw_prior_sensitivity(
        above, ["a over b", "a over c"], ["undecided", "unknown"], reference=0, threshold=0.95, width=720
    )
    lines = [line for line in figure.axes[0].lines if np.ndim(line.get_ydata()) and set(line.get_ydata()) == {1}]
    assert not any(np.isfinite(line.get_xdata()).any() for line in lines)
    assert [text.get_text() for text in figure.axes[0].texts] == ["undecided", "unknown"]
