"""The mixture of judges as a model: what it gives probability to, what it draws, and what it refuses."""

from __future__ import annotations

from itertools import product

import jax
import jax.numpy as jnp
import mixed_judges
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.mixtures import PerClass
from psymetric.core.precision import double_precision
from psymetric.core.simplex import Simplex
from psymetric.errors import DataError, DesignError
from psymetric.estimation.mixture_search import judge_sums
from psymetric.simulation.studies import draw_parameters, simulate_responses

PARAMS = {
    "share": mixed_judges.SHARE,
    "worth": mixed_judges.WORTH,
    "position": mixed_judges.POSITION,
    "tie": mixed_judges.TIE,
}


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


@pytest.fixture(scope="module")
def small() -> ps.PairTable:
    return mixed_judges.plain_table(mixed_judges.draw(5, 6, seed=3)[0])


def known() -> dict:
    return {name: jnp.asarray(value) for name, value in PARAMS.items()}


def test_likelihood_is_the_sum_over_all_assignments_of_judges_to_classes(small) -> None:
    """Two classes and five judges: 32 assignments, each with its probability."""
    given = mixed_judges.judge_log_likelihoods(small, *(PARAMS[name] for name in ("worth", "position", "tie")))
    total = 0.0
    for classes in product(range(2), repeat=5):
        total += np.exp(sum(given[judge, k] + np.log(mixed_judges.SHARE[k]) for judge, k in enumerate(classes)))
    found = float(jax.jit(judge_sums(mixed_judges.MODEL, small).log_likelihood)(known()))
    assert found == pytest.approx(np.log(total), abs=1e-10)


def test_one_comparison_is_averaged_over_the_classes(small) -> None:
    codes = {name: small.codes[name] for name in mixed_judges.MODEL.facets}
    by_class = [
        np.exp(mixed_judges.log_probs(PARAMS["worth"][:, k], PARAMS["position"][k], PARAMS["tie"][k], codes["left"],
                                      codes["right"]))
        for k in range(2)
    ]  # fmt: skip
    log_probs = jax.jit(mixed_judges.MODEL.category_log_probs, static_argnums=2)
    found = np.exp(log_probs(known(), codes, 3))
    np.testing.assert_allclose(found, 0.6 * by_class[0] + 0.4 * by_class[1], atol=1e-12)
    certain = {**known(), "membership": jnp.asarray(np.eye(2)[[0, 1, 0, 1, 1]])}
    chosen = np.where(np.array([0, 1, 0, 1, 1])[codes["judge"]][:, None] == 0, by_class[0], by_class[1])
    np.testing.assert_allclose(np.exp(log_probs(certain, codes, 3)), chosen, atol=1e-12)


def test_simulated_judges_keep_their_class() -> None:
    """Two comparisons by each of 40,000 judges: how often both go one way is the mixture's, not the product's."""
    n = 40_000
    left, right, judge = np.zeros(2 * n, int), np.full(2 * n, 5), np.repeat(np.arange(n), 2)
    drawn = mixed_judges.MODEL.simulate(known(), {"left": left, "right": right, "judge": judge}, 3, seed=4)
    chances = np.exp(
        [mixed_judges.log_probs(PARAMS["worth"][:, k], PARAMS["position"][k], PARAMS["tie"][k], left[:1], right[:1])[0]
         for k in range(2)]
    )  # fmt: skip
    expected = np.einsum("k,ki,kj->ij", mixed_judges.SHARE, chances, chances).ravel()
    found = np.bincount(drawn.reshape(-1, 2) @ [3, 1], minlength=9) / n
    # Nine frequencies: five standard errors are exceeded by chance once in 200,000 such tests.
    assert np.all(np.abs(found - expected) < 5 * np.sqrt(expected / n))
    alike = (mixed_judges.SHARE @ chances)[:, None] * (mixed_judges.SHARE @ chances)
    assert np.abs(found - alike.ravel()).max() > 10 * np.sqrt(0.25 / n)


def test_tables_are_simulated_with_their_judges() -> None:
    levels = {"item": mixed_judges.ITEMS, "judge": ("x", "y", "z"), "class": (1, 2)}
    params = draw_parameters(mixed_judges.MODEL, levels, seed=2)
    assert params["share"].sum() == pytest.approx(1)
    np.testing.assert_allclose(params["worth"].sum(axis=0), 0, atol=1e-12)
    design = pd.DataFrame([(a, b, j) for a in "abc" for b in "def" for j in "xyz"], columns=["left", "right", "judge"])
    table = simulate_responses(mixed_judges.MODEL, params, levels, design=design, seed=5)
    assert table.levels["judge"] == ("x", "y", "z")
    assert table.n_rows == 27


def test_shares_and_arrays_of_classes() -> None:
    shares = Simplex((3,))
    value = np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(shares.forward(jnp.asarray(shares.inverse(value))), value, atol=1e-12)
    free = np.array([0.3, -0.7])
    numeric = np.zeros((2, 2))
    for place in range(2):
        step = 1e-6 * np.eye(2)[place]
        ends = [np.asarray(shares.forward(jnp.asarray(free + sign * step)))[:2] for sign in (1, -1)]
        numeric[:, place] = (ends[0] - ends[1]) / 2e-6
    at_zero = float(shares.log_jacobian(jnp.zeros(2)))
    # Up to a constant: at zero the volume is that of three equal probabilities, 3^-3 times √3.
    expected = np.log(abs(np.linalg.det(numeric))) - np.log(np.sqrt(3) / 27)
    assert float(shares.log_jacobian(jnp.asarray(free))) - at_zero == pytest.approx(expected, abs=1e-8)
    both = PerClass(shares, 2)
    assert (both.shape, both.size) == ((3, 2), 4)
    found = both.forward(jnp.asarray([0.3, -0.7, 0.1, 0.2]))
    np.testing.assert_allclose(found[:, 0], shares.forward(jnp.asarray(free)), atol=1e-12)
    summed = float(shares.log_jacobian(jnp.asarray(free)) + shares.log_jacobian(jnp.asarray([0.1, 0.2])))
    assert float(both.log_jacobian(jnp.asarray([0.3, -0.7, 0.1, 0.2]))) == pytest.approx(summed)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": ps.Rasch()}, r"model=Rasch\(.*\)\) must be a BradleyTerry"),
        ({"classes": 0}, r"classes=0\) must be a whole number of classes, 1 or more"),
        ({"classes": True}, r"classes=True\) must be a whole number"),
        ({"classes": 1.5}, r"classes=1.5\) must be a whole number"),
        ({"share_prior_sd": 0}, r"share_prior_sd=0\) must be a positive number"),
        ({"model": ps.BradleyTerry(random="item")}, r"BradleyTerry\(random=\.\.\.\)\): classes have fixed worths"),
        ({"model": ps.BradleyTerry(drift={"item:month": "walk"})}, r"BradleyTerry\(drift=\.\.\.\)\)"),
        ({"model": ps.BradleyTerry(position="judge")}, r"over='judge'\) must name a facet of judges that"),
        ({"over": "item"}, r"over='item'\) must name a facet of judges"),
        ({"model": ps.BradleyTerry(position="class")}, r"a facet cannot be called 'class'"),
    ],
)
def test_settings_that_make_no_mixture(settings, message) -> None:
    with pytest.raises(DesignError, match=message):
        ps.JudgeMixture(**settings)


def test_tables_that_tell_no_classes_apart(small) -> None:
    with pytest.raises(DataError, match=r"classes=6\): 'judge' has 5 level\(s\) with comparisons, and every class"):
        ps.fit(ps.JudgeMixture(mixed_judges.WITHIN, 6), small)
    with pytest.raises(DataError, match=r"ties=None\): \d+ of 30 comparisons are ties"):
        ps.fit(ps.JudgeMixture(), small)
    with pytest.raises(DataError, match=r"reads facet 'prompt', which the table does not have"):
        ps.fit(ps.JudgeMixture(mixed_judges.WITHIN, over="prompt"), small)
    frame = mixed_judges.draw(5, 6, seed=3)[0]
    alone = mixed_judges.plain_table(frame.assign(judge=[f"j{row}" for row in range(len(frame))]))
    with pytest.raises(DataError, match=r"none of the 30 levels made two comparisons, so that nothing shows"):
        ps.fit(mixed_judges.MODEL, alone)
    named = mixed_judges.plain_table(frame.assign(**{"class": "x"}), ("class",))
    with pytest.raises(DataError, match=r"the table has a facet called 'class', the axis of its worths"):
        ps.fit(mixed_judges.MODEL, named)


def test_items_that_only_win_are_named_before_the_fit() -> None:
    frame = mixed_judges.draw(5, 20, seed=3)[0].query("left == 'a' or right != 'a'")
    frame = frame.assign(winner=np.where(frame["left"] == "a", "left", frame["winner"]))
    with pytest.raises(ps.errors.IdentificationError, match=r"'a'\] always won"):
        ps.fit(mixed_judges.MODEL, mixed_judges.plain_table(frame))
