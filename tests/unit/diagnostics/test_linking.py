"""Linking constants against known transformations, formulas by hand and criteria written out a second time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares
from sloped_world import probabilities_of, sloped_fit

import psymetric as ps
from psymetric.errors import DataError

METHODS = ("mean_mean", "mean_sigma", "haebara", "stocking_lord")
CURVES = ("haebara", "stocking_lord")
SLOPE, SHIFT = 1.25, -0.4
EXACT = 1e-7
SOLVED = 1e-5  # both criteria are minimised to about the root of the precision
VARIANCE = 0.01

DIFFICULTY = {"p": -0.9, "q": 0.1, "r": 0.8, "s": 1.3, "t": -0.2}
STEPS = np.array([[-0.7, 0.7], [-0.2, 0.2], [0.4, -0.4], [-1.0, 1.0], [-0.5, 0.5]])
SLOPES = np.array([0.8, 1.2, 1.0, 1.6, 0.7])


def moved(difficulty, slopes, steps):
    """The same curves with abilities (θ − SHIFT) / SLOPE, one item more and the items in another order."""
    values = {name: (value - SHIFT) / SLOPE for name, value in difficulty.items()}
    order = [2, 0, 4, 1, 3]
    names = [list(values)[k] for k in order]
    chosen = {name: values[name] for name in names} | {"only here": 0.3}
    return chosen, np.append(slopes[order] * SLOPE, 1.0), np.vstack([steps[order] / SLOPE, [0.0, 0.0]])


@pytest.fixture(scope="module")
def target():
    return sloped_fit(DIFFICULTY, SLOPES, STEPS, mean=0.2, sd=1.1, variance=VARIANCE)


@pytest.fixture(scope="module")
def exact():
    return sloped_fit(*moved(DIFFICULTY, SLOPES, STEPS), mean=0.5, sd=0.9, variance=VARIANCE)


@pytest.fixture(scope="module")
def noisy():
    rng = np.random.default_rng(4)
    difficulty = {name: value + rng.normal(0, 0.2) for name, value in DIFFICULTY.items()}
    slopes = SLOPES * np.exp(rng.normal(0, 0.1, 5))
    return sloped_fit(*moved(difficulty, slopes, STEPS), mean=0.5, sd=0.9, variance=VARIANCE)


@pytest.mark.parametrize("method", METHODS)
def test_a_known_transformation_is_found(exact, target, method):
    found = ps.link(exact, target, method=method)
    assert found.slope == pytest.approx(SLOPE, abs=EXACT)
    assert found.shift == pytest.approx(SHIFT, abs=EXACT)
    frame = found.frame.set_index("level")
    assert frame.loc["only here", "linked"] == pytest.approx(SLOPE * 0.3 + SHIFT, abs=EXACT)
    assert not frame.loc["only here", "common"]
    assert np.isnan(frame.loc["only here", "target"])
    np.testing.assert_allclose(frame.loc[list(DIFFICULTY), "linked"], list(DIFFICULTY.values()), atol=EXACT)
    np.testing.assert_allclose(frame.loc[list(DIFFICULTY), "difference"], 0, atol=EXACT)
    np.testing.assert_allclose(found.covariance_levels, 0, atol=1e-10)  # every choice of levels says the same


@pytest.mark.parametrize("method", METHODS)
def test_linking_back_is_the_inverse(noisy, target, method):
    there, back = ps.link(noisy, target, method=method), ps.link(target, noisy, method=method)
    assert back.slope == pytest.approx(1 / there.slope, abs=SOLVED)
    assert back.shift == pytest.approx(-there.shift / there.slope, abs=SOLVED)


def values_of(fit, name):
    return np.array([fit.parameters[name][fit.levels["item"].index(item)] for item in DIFFICULTY])


def test_mean_mean_and_mean_sigma_by_hand(noisy, target):
    old, new = values_of(noisy, "item"), values_of(target, "item")
    ratio = values_of(noisy, "discrimination").mean() / SLOPES.mean()
    by_mean, by_sigma = (ps.link(noisy, target, method=method) for method in ("mean_mean", "mean_sigma"))
    assert by_mean.slope == pytest.approx(ratio)
    assert by_mean.shift == pytest.approx(new.mean() - ratio * old.mean())
    assert by_sigma.slope == pytest.approx(new.std() / old.std())
    assert by_sigma.shift == pytest.approx(new.mean() - new.std() / old.std() * old.mean())


def test_errors_of_a_mean_difference_have_closed_forms(noisy, target):
    """Slope held: the shift is a mean of five differences, each of two independent estimates."""
    found = ps.link(noisy, target, method="mean_mean", slope="one")
    gap = values_of(target, "item") - values_of(noisy, "item")
    assert found.slope == 1
    constants = found.constants.set_index("constant")
    assert constants.loc["shift", "estimate"] == pytest.approx(gap.mean())
    assert constants.loc["shift", "se"] == pytest.approx(np.sqrt(2 * VARIANCE / 5))
    assert constants.loc["shift", "se_levels"] == pytest.approx(gap.std(ddof=1) / np.sqrt(5))
    assert constants.loc["slope", ["se", "se_levels"]].tolist() == [0, 0]
    frame = found.frame.set_index("level")
    np.testing.assert_allclose(frame.loc[list(DIFFICULTY), "difference"], gap - gap.mean())
    np.testing.assert_allclose(frame.loc[list(DIFFICULTY), "difference_se"], np.sqrt(2 * VARIANCE * (1 - 1 / 5)))
    # A level that served to link shares error with the shift: b - mean(b) has variance 4/5, the target's mean 1/5.
    np.testing.assert_allclose(frame.loc[list(DIFFICULTY), "linked_se"], np.sqrt(VARIANCE * (4 / 5 + 1 / 5)))
    assert frame.loc["only here", "linked_se"] == pytest.approx(np.sqrt(VARIANCE * (1 + 2 / 5)))


def curves(fit, theta):
    """Category probabilities of every common item, without logarithms, shape (items, nodes, 3)."""
    slope, difficulty = (values_of(fit, name)[:, None] for name in ("discrimination", "item"))
    steps = np.array([fit.parameters["step"][fit.levels["item"].index(item)] for item in DIFFICULTY])
    first = np.exp(slope * (theta - difficulty - steps[:, :1]))
    second = first * np.exp(slope * (theta - difficulty - steps[:, 1:]))
    ratio = np.stack([np.ones_like(first), first, second], axis=2)
    return ratio / ratio.sum(axis=2, keepdims=True)


def naive_constants(old, new, method, weight=None):
    """The criterion as a list of residuals, direction by direction."""
    weight = np.ones(5) if weight is None else weight
    at = np.linspace(-4, 4, 41)
    density = np.exp(-0.5 * at**2)
    density /= density.sum()

    def residuals(constants):
        slope, shift = constants
        found = []
        for on_old, on_new in (
            (0.5 + 0.9 * at, slope * (0.5 + 0.9 * at) + shift),
            ((0.2 + 1.1 * at - shift) / slope, 0.2 + 1.1 * at),
        ):
            gap = np.sqrt(density)[:, None] * (curves(new, on_new) - curves(old, on_old))
            if method == "haebara":
                found.append((np.sqrt(weight)[:, None, None] * gap).ravel())
            else:
                found.append(np.einsum("i,imk,k->m", weight, gap, np.arange(3)))
        return np.concatenate(found)

    return least_squares(residuals, [1.0, 0.0], xtol=1e-15, ftol=1e-15, gtol=1e-15).x


def test_naive_curves_are_those_of_the_definition(noisy):
    for place, item in enumerate(DIFFICULTY):
        np.testing.assert_allclose(curves(noisy, np.array([0.3]))[place, 0], probabilities_of(noisy, item, 0.3))


@pytest.mark.parametrize("method", CURVES)
def test_curves_are_as_close_as_a_second_minimisation_brings_them(noisy, target, method):
    found = ps.link(noisy, target, method=method)
    expected = naive_constants(noisy, target, method)
    np.testing.assert_allclose([found.slope, found.shift], expected, atol=SOLVED)


@pytest.mark.parametrize("method", CURVES)
def test_level_errors_are_the_jackknife_of_small_changes_of_weight(noisy, target, method):
    found = ps.link(noisy, target, method=method)
    h = 1e-3
    moves = []
    for step in h * np.eye(5):
        up, down = (naive_constants(noisy, target, method, np.ones(5) + side * step) for side in (1, -1))
        moves.append((up - down) / (2 * h))
    expected = np.transpose(moves) @ np.array(moves) * 5 / 4
    np.testing.assert_allclose(found.covariance_levels, expected, rtol=2e-3)  # central differences of a minimum


@pytest.mark.parametrize("method", METHODS)
def test_sampling_errors_are_those_of_small_changes_of_parameters(noisy, target, method):
    h, total = 1e-4, np.zeros((2, 2))
    for side in (0, 1):
        for name in ("item", "discrimination"):
            for place in range(len((noisy, target)[side].parameters[name])):
                ends = []
                for step in (h, -h):
                    fits = [noisy, target]
                    value = fits[side].parameters[name].copy()
                    value[place] += step
                    fits[side] = replace(fits[side], parameters={**fits[side].parameters, name: value})
                    # The step arrays hold no covariance here and are left out on both sides.
                    other = ps.link(*fits, method=method)
                    ends.append(np.array([other.slope, other.shift]))
                move = (ends[0] - ends[1]) / (2 * h)
                total += VARIANCE * np.outer(move, move)
    known = replace_steps(noisy), replace_steps(target)
    found = ps.link(*known, method=method)
    np.testing.assert_allclose(found.covariance, total, rtol=1e-4, atol=1e-8)


def replace_steps(fit):
    """The fit with steps that are known without error."""
    return replace(fit, covariances={**fit.covariances, "step": np.zeros((fit.parameters["step"].size,) * 2)})


def test_missing_covariances_are_said(noisy, target):
    found = ps.link(noisy, target, method="haebara")
    assert np.isnan(found.covariance).all()
    assert "no sampling error: a fit holds no covariance of what the link rests on" in found.notes


def test_rasch_family_keeps_its_unit_unless_asked(marginal):
    shifted = replace(marginal, parameters={**marginal.parameters, "item": marginal.parameters["item"] - 0.7})
    for method in METHODS:
        found = ps.link(shifted, marginal, method=method)
        assert found.slope == 1
        assert found.shift == pytest.approx(0.7, abs=EXACT)
    asked = ps.link(shifted, marginal, method="mean_sigma", slope="free")
    assert asked.slope == pytest.approx(1)
    assert asked.constants["se"].iloc[0] > 0
    few = "linked through 3 common levels of 'item': one that drifts moves everything"
    assert few in asked.notes


def test_judges_can_link_too(marginal):
    shifted = replace(marginal, parameters={**marginal.parameters, "judge": marginal.parameters["judge"] + 0.2})
    assert ps.link(shifted, marginal, facet="judge", method="haebara").shift == pytest.approx(-0.2, abs=EXACT)


def test_samples_of_one_world_link_at_zero(marginal, frame):
    """Two halves of the subjects: centred difficulties leave the shift to the mean of differences that sum to zero."""
    from rated_world import rated_table

    half = frame[frame["text"].isin([f"s{k}" for k in range(20)])]
    part = ps.fit(marginal.model, rated_table(half))
    found = ps.link(part, marginal, method="stocking_lord")
    assert abs(found.shift) < 3 * np.sqrt(np.diag(found.covariance_levels))[1] + 0.05
    assert np.isfinite(found.covariance).all()


def test_scores_move_with_their_errors(marginal, table, noisy, target):
    scores = ps.score(marginal, table, method="plausible", draws=1)
    link = ps.link(noisy, target, method="mean_sigma")
    moved_scores = link.apply(scores)
    np.testing.assert_allclose(moved_scores.frame["pv1"], link.slope * scores.frame["pv1"] + link.shift)
    np.testing.assert_allclose(moved_scores.frame["se"], link.slope * scores.frame["se"])
    at = scores.frame["estimate"].iloc[0]
    variance = at**2 * link.covariance[0, 0] + 2 * at * link.covariance[0, 1] + link.covariance[1, 1]
    assert moved_scores.frame["link_se"].iloc[0] == pytest.approx(np.sqrt(variance))
    with pytest.raises(DataError, match="the scores are in T; only measures in logits can be linked"):
        link.apply(ps.norms(scores, mean=0.0, sd=1.0))


def test_chosen_levels_only(noisy, target):
    found = ps.link(noisy, target, method="mean_mean", slope="one", levels=["p", "s"])
    gap = values_of(target, "item") - values_of(noisy, "item")
    assert found.shift == pytest.approx(gap[[0, 3]].mean())
    assert found.frame.set_index("level")["common"].sum() == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "concurrent"}, "method='concurrent' is not known"),
        ({"slope": "two"}, "slope='two' is not known"),
        ({"facet": "judge"}, "Sloped has no facet 'judge'"),
        ({"levels": ["p", "only here"]}, r"levels names \['only here'\], not among the common ones"),
        ({"levels": []}, "levels is empty"),
        ({"levels": ["p"]}, "one common level of 'item' .p. gives no slope"),
    ],
)
def test_refusals_say_what_and_how_to_mend(noisy, target, options, message):
    with pytest.raises(DataError, match=f"link: .*{message}"):
        ps.link(noisy, target, **options)


def test_fits_that_cannot_be_linked(noisy, target, marginal, worths):
    with pytest.raises(DataError, match="the fits are of different models, Sloped and ManyFacetRasch"):
        ps.link(noisy, marginal)
    with pytest.raises(DataError, match="BradleyTerry has no subjects"):
        ps.link(worths, worths)
    with pytest.raises(DataError, match="the fits have different categories"):
        ps.link(replace(noisy, categories=(1, 2, 3)), target)
    with pytest.raises(DataError, match="the fits have no level of 'item' in common"):
        ps.link(replace(noisy, levels={"item": tuple("abcdef"), "subject": ()}), target)
    flat = replace(target, parameters={**target.parameters, "item": np.zeros(5)})
    with pytest.raises(DataError, match="all have one location, which gives no slope"):
        ps.link(noisy, flat, method="mean_sigma")
    with pytest.raises(DataError, match="mean_mean takes the slope from discriminations, and 'item' has none"):
        ps.link(marginal, marginal, method="mean_mean", slope="free")


def test_one_level_has_no_choice_of_levels(noisy, target):
    found = ps.link(noisy, target, levels=["p"], slope="one", method="mean_mean")
    assert np.isnan(found.covariance_levels).all()
    assert isinstance(found.constants, pd.DataFrame)
