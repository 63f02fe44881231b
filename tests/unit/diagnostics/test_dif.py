"""Differential functioning against a naive two-group likelihood, other routes through the library, and simulations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from scipy.stats import binom, chi2, norm

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.diagnostics.differential_effects import class_probabilities, essd_size, ets_class
from psymetric.diagnostics.differential_model import Cells, DifferentialModel
from psymetric.diagnostics.differential_search import Freed, purify, score_tests, start_search
from psymetric.errors import DataError, DesignError

# Log-likelihoods on two grids, the naive one maximised with numerical gradients.
LIKELIHOOD, ESTIMATE = 2e-4, 2e-3
# Central differences of step 1e-3 in the naive Hessian.
DIFFERENCES = 2e-3
# An engine's curvature may be taken a millilogit from the maximum.
CURVATURE = 1e-3
DIFFICULTY = np.array([-1.0, -0.5, 0.0, 0.2, 0.6, 1.0])


def answers(seed, *, n=320, difficulty=DIFFICULTY, shift=None, slope=1.0, mean=-0.8, sd=1.2):
    """Right or wrong answers of a reference group from N(0, 1) and a focal group from N(mean, sd²)."""
    rng = np.random.default_rng(seed)
    focal = np.repeat([False, True], n)
    theta = np.where(focal, rng.normal(mean, sd, 2 * n), rng.normal(0, 1, 2 * n))
    location = difficulty + np.outer(focal, np.zeros(len(difficulty)) if shift is None else shift)
    steep = np.where(focal[:, None], np.broadcast_to(slope, difficulty.shape), 1.0)
    return (rng.random(location.shape) < expit(steep * (theta[:, None] - location))).astype(int), focal


def table_of(right, focal, labels=("a", "b")):
    wide = pd.DataFrame(right, columns=[f"i{place}" for place in range(right.shape[1])])
    long = wide.assign(group=np.where(focal, labels[1], labels[0]), person=range(len(wide)))
    long = long.melt(["person", "group"], var_name="item", value_name="right")
    return ps.ResponseTable.from_frame(long, response="right", subject="person", item="item", facets="group")


def naive_loglik(right, focal, location, slope, mean, sd):
    """Log-likelihood of two groups with own difficulties, slopes (2, items), means and sds (2,)."""
    z = np.linspace(-6, 6, 61)
    log_weight = norm.logpdf(z) - logsumexp(norm.logpdf(z))
    total = 0.0
    for group in (0, 1):
        x, count = np.unique(right[focal == bool(group)], axis=0, return_counts=True)
        logit = slope[group] * ((mean[group] + sd[group] * z)[:, None] - location[group])
        each = x @ np.log(expit(logit)).T + (1 - x) @ np.log(expit(-logit)).T
        total += count @ logsumexp(each + log_weight, axis=1)
    return total


def unpack(point, shifted, *, sloped=(), two_pl=False):
    """Parameters of the naive likelihood: difficulties, focal mean and log sd, then scale, shifts and log slopes."""
    items = len(DIFFICULTY)
    b, rest = point[:items], list(point[items:])
    mean, log_sd = rest.pop(0), rest.pop(0)
    a = np.exp([rest.pop(0) for _ in range(items)]) if two_pl else np.ones(items)
    own_sd = 1.0 if two_pl else np.exp(rest.pop(0))
    location, slope = np.stack([b, b]), np.stack([a, a])
    for item in shifted:
        location[1, item] += rest.pop(0)
    for item in sloped:
        slope[1, item] *= np.exp(rest.pop(0))
    return location, slope, (0.0, mean), (own_sd, np.exp(log_sd))


def naive_fit(right, focal, shifted=(), *, sloped=(), two_pl=False):
    size = len(DIFFICULTY) + 2 + (len(DIFFICULTY) if two_pl else 1) + len(shifted) + len(sloped)

    def negative(point):
        return -naive_loglik(right, focal, *unpack(point, shifted, sloped=sloped, two_pl=two_pl))

    found = minimize(negative, np.zeros(size), method="BFGS", options={"gtol": 1e-3})
    return -found.fun, found.x


@pytest.fixture(scope="module")
def world():
    right, focal = answers(3, n=200, shift=[0, 0, 0.9, 0, 0, 0])
    return right, focal, table_of(right, focal)


def test_likelihood_ratio_and_wald_of_one_item(world):
    right, focal, table = world
    alike, _ = naive_fit(right, focal)
    found = ps.differential_functioning(ps.Rasch(), table, group="group", reference="a", anchors="others")
    wald = ps.differential_functioning(
        ps.fit(ps.Rasch(), table), table, group="group", reference="a", anchors="others", method="wald"
    )
    for item in (1, 2):
        larger, point = naive_fit(right, focal, (item,))
        row = found.frame.iloc[item]
        assert row["statistic"] == pytest.approx(2 * (larger - alike), abs=LIKELIHOOD)
        assert row["p"] == pytest.approx(chi2.sf(row["statistic"], 1))
        assert row["estimate"] == pytest.approx(point[-1], abs=ESTIMATE)
        assert wald.frame["estimate"][item] == row["estimate"]
        assert wald.frame["statistic"][item] == pytest.approx((row["estimate"] / row["se"]) ** 2)
    assert found.frame["anchor"].all()
    assert found.frame.eval("upper - lower").to_numpy() == pytest.approx(2 * 1.959964 * found.frame["se"].to_numpy())
    # Groups with populations of their own are also a model of the library, by another route.
    grouped = ps.fit(ps.Rasch(population=ps.Population(groups="group")), table)
    assert grouped.log_likelihood == pytest.approx(alike, abs=LIKELIHOOD)
    populations = found.populations
    assert populations["mean"].to_numpy() == pytest.approx(grouped.parameters["population_mean"], abs=1e-5)
    assert populations["sd"].to_numpy() == pytest.approx(grouped.parameters["population_sd"], abs=1e-5)
    for name in ("mean", "sd"):
        errors = grouped.standard_errors[f"population_{name}"]
        assert populations[f"{name}_se"].to_numpy() == pytest.approx(errors, rel=CURVATURE)
    again = ps.differential_functioning(grouped, table, group="group", reference="a", anchors="others")
    pd.testing.assert_frame_equal(again.frame, found.frame)


def test_named_anchors_free_all_others(world):
    right, focal, table = world
    found = ps.differential_functioning(ps.Rasch(), table, group="group", reference="a", anchors=["i0", "i5"])
    larger, point = naive_fit(right, focal, (1, 2, 3, 4))
    smaller, _ = naive_fit(right, focal, (1, 3, 4))
    assert found.frame["estimate"].to_numpy()[1:5] == pytest.approx(point[-4:], abs=ESTIMATE)
    assert found.frame["statistic"][2] == pytest.approx(2 * (larger - smaller), abs=LIKELIHOOD)
    assert found.frame["anchor"].tolist() == [True, False, False, False, False, True]
    assert found.frame["note"][0] == "named as an anchor"
    assert np.isnan(found.frame["estimate"][0])
    swapped = ps.differential_functioning(ps.Rasch(), table, group="group", reference="b", anchors=["i0", "i5"])
    assert swapped.frame["estimate"].to_numpy() == pytest.approx(
        -found.frame["estimate"].to_numpy(), abs=1e-5, nan_ok=True
    )
    assert swapped.frame["statistic"].to_numpy() == pytest.approx(
        found.frame["statistic"].to_numpy(), abs=1e-5, nan_ok=True
    )


@pytest.mark.slow
def test_slopes_of_the_two_parameter_model():
    right, focal = answers(8, n=400, slope=np.array([1, 1, 1, 1, 1, 2.2]))
    table = table_of(right, focal)
    alike, _ = naive_fit(right, focal, two_pl=True)
    shifted, _ = naive_fit(right, focal, (5,), two_pl=True)
    both, point = naive_fit(right, focal, (5,), sloped=(5,), two_pl=True)
    settings = {"group": "group", "reference": "a", "anchors": "others"}
    found = {
        kind: ps.differential_functioning(ps.TwoPL(), table, kind=kind, **settings).frame.iloc[5]
        for kind in ("uniform", "nonuniform", "both")
    }
    assert found["uniform"]["statistic"] == pytest.approx(2 * (shifted - alike), abs=LIKELIHOOD)
    assert found["nonuniform"]["statistic"] == pytest.approx(2 * (both - shifted), abs=LIKELIHOOD)
    assert found["both"]["statistic"] == pytest.approx(2 * (both - alike), abs=LIKELIHOOD)
    assert [found[kind]["df"] for kind in found] == [1, 1, 2]
    assert found["both"]["estimate"] == pytest.approx(point[-2], abs=ESTIMATE)
    assert found["both"]["slope_ratio"] == pytest.approx(np.exp(point[-1]), rel=ESTIMATE)
    # Delta is in logits of the response: the slope times the shift.
    assert found["both"]["delta"] == pytest.approx(-2.35 * np.exp(point[6 + 2 + 5]) * point[-2], abs=5 * ESTIMATE)
    assert f"slope {found['both']['slope_ratio']:.2f} times that for 'a'" in found["both"]["flag"]


def test_score_tests_against_finite_differences(world):
    right, focal, table = world
    model, cells = DifferentialModel(ps.Rasch(), "group", "a"), Cells.of(table, "item", "group", np.eye(2)[[1] * 6] > 0)
    none = Cells(cells.level[:0], cells.group[:0], ())
    alike = ps.fit(model, none.mark(table, "item", "group"))
    with double_precision():
        search = start_search(model, cells.mark(table, "item", "group"), cells, alike)
        statistics = score_tests(search, Freed(), list(range(6)))
        pure = purify(search, cells, np.array([6, 6]), alpha=0.05)
    assert pure.cells == (2,)
    _, point = naive_fit(right, focal)
    point = np.append(point, 0.0)

    def value(at):
        return naive_loglik(right, focal, *unpack(at, (2,)))

    step, size = 1e-3, len(point)
    unit = step * np.eye(size)
    gradient = (value(point + unit[-1]) - value(point - unit[-1])) / (2 * step)
    hessian = np.array(
        [
            [
                (value(point + i + j) - value(point + i - j) - value(point - i + j) + value(point - i - j))
                / (4 * step**2)
                for j in unit
            ]
            for i in unit
        ]
    )
    left = -(hessian[-1, -1] - hessian[-1, :-1] @ np.linalg.solve(hessian[:-1, :-1], hessian[:-1, -1]))
    assert statistics[2] == pytest.approx(gradient**2 / left, rel=DIFFERENCES)


def test_posterior_with_anchors_and_with_a_narrow_prior(world):
    _, _, table = world
    settings = {"group": "group", "reference": "a"}
    exact = ps.differential_functioning(ps.Rasch(), table, anchors=["i0", "i5"], method="wald", **settings).frame
    drawn = ps.differential_functioning(
        ps.Rasch(),
        table,
        anchors=["i0", "i5"],
        method="posterior",
        prior_sd=100.0,
        engine=ps.Laplace(draws=4000, seed=2),
        **settings,
    )
    frame, noise = drawn.frame[1:5], 4 / np.sqrt(4000)
    # Difficulties have a N(0, 2²) prior, which shrinks differences of their focal versions hardly at all.
    assert (np.abs(frame["estimate"] - exact["estimate"][1:5]) < (noise + 0.05) * exact["se"][1:5]).all()
    assert frame["se"].to_numpy() == pytest.approx(exact["se"][1:5].to_numpy(), rel=noise)
    sure = norm.sf((1 / 2.35 - frame["estimate"]) / frame["se"]) + norm.cdf(
        (-1 / 2.35 - frame["estimate"]) / frame["se"]
    )
    assert (1 - frame["p_a"]).to_numpy() == pytest.approx(sure, abs=noise)
    assert frame[["p_a", "p_b", "p_c"]].sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert frame["flag"][2].startswith("harder or more severe for 'b' than for 'a' by")
    narrow = ps.differential_functioning(ps.Rasch(), table, method="posterior", prior_sd=0.01, **settings)
    assert narrow.frame["estimate"].abs().max() < 0.01
    assert (narrow.frame["p_a"] == 1).all()
    assert narrow.flagged.empty


@pytest.mark.slow
def test_judges_of_a_rating_scale_in_three_groups():
    """A judge severer by .8 on one of two focal groups; steps, items and judges together."""
    rng = np.random.default_rng(4)
    severity = {"j1": -0.4, "j2": 0.0, "j3": 0.4, "j4": 0.0}
    rows = []
    for person in range(450):
        family = "xyz"[person % 3]
        theta = rng.normal({"x": 0.0, "y": 0.7, "z": -0.7}[family], 1.0)
        for judge, own in severity.items():
            for item, difficulty in (("p", -0.3), ("q", 0.3)):
                at = theta - own - difficulty - 0.8 * (judge == "j2" and family == "z")
                p = np.exp(np.cumsum([0.0, at + 1.0, at - 1.0]))
                rows.append((person, family, judge, item, rng.choice(3, p=p / p.sum())))
    frame = pd.DataFrame(rows, columns=["text", "family", "judge", "item", "score"])
    table = ps.ResponseTable.from_frame(
        frame, response="score", subject="text", item="item", facets=("judge", "family")
    )
    found = ps.differential_functioning(ps.ManyFacetRasch(), table, group="family", facet="judge", reference="x")
    assert list(zip(found.frame["level"], found.frame["focal"], strict=True)) == [
        (judge, focal) for focal in "yz" for judge in severity
    ]
    flagged = found.flagged
    assert flagged[["level", "focal"]].to_numpy().tolist() == [["j2", "z"]]
    assert abs(flagged["estimate"][0] - 0.8) < 3 * flagged["se"][0]
    assert "1 of 8 flagged" in str(found)
    assert "j2 in z: harder or more severe for 'z'" in str(found)
    assert "<table" in found._repr_html_()
    # The same by hand: the judge in that family as a judge of its own, and curves over the family's population.
    split = frame.assign(judge=np.where((frame["judge"] == "j2") & (frame["family"] == "z"), "j2z", frame["judge"]))
    tables = [
        ps.ResponseTable.from_frame(one, response="score", subject="text", item="item", facets=("judge", "family"))
        for one in (frame, split)
    ]
    grouped = ps.ManyFacetRasch(population=ps.Population(groups="family"))
    alike, fit = (ps.fit(grouped, one) for one in tables)
    assert flagged["statistic"][0] == pytest.approx(2 * (fit.log_likelihood - alike.log_likelihood), abs=LIKELIHOOD)
    severities = dict(zip(fit.levels["judge"], fit.parameters["judge"], strict=True))
    assert flagged["estimate"][0] == pytest.approx(severities["j2z"] - severities["j2"], abs=1e-5)
    mean, sd = fit.parameters["population_mean"][2], fit.parameters["population_sd"][2]
    z = np.linspace(-6, 6, 241)
    weight = norm.pdf(z) / norm.pdf(z).sum()

    def expected(judge):
        at = (mean + sd * z)[:, None] - severities[judge] - fit.parameters["item"]
        logits = np.cumsum(at[..., None] - fit.parameters["step"].reshape(-1), axis=2)
        p = np.exp(np.concatenate([np.zeros((*at.shape, 1)), logits], axis=2))
        return ((p / p.sum(axis=2, keepdims=True)) @ np.arange(3)).mean(axis=1)

    focal, reference = expected("j2z"), expected("j2")
    sids = weight @ (focal - reference)
    spread = [weight @ (curve - weight @ curve) ** 2 for curve in (focal, reference)]
    assert flagged["sids"][0] == pytest.approx(sids, rel=1e-4)
    assert flagged["uids"][0] == pytest.approx(-flagged["sids"][0])
    assert flagged["essd"][0] == pytest.approx(sids / np.sqrt(np.mean(spread)), rel=1e-4)


@pytest.mark.slow
def test_false_alarms_power_and_recovery():
    """Twenty-four worlds with impact of .8 and one item .6 harder: alarms on the others, finds, and bias of the one."""
    worlds, size = 24, 0.6
    alarms, finds, estimates, errors, inside = 0, 0, [], [], 0
    for seed in range(worlds):
        right, focal = answers(100 + seed, shift=[0, size, 0, 0, 0, 0])
        found = ps.differential_functioning(ps.Rasch(), table_of(right, focal), group="group", reference="a").frame
        alarms += int((found["p"].drop(1) < 0.05).sum())
        finds += int(found["p"][1] < 0.05)
        estimates.append(found["estimate"][1])
        errors.append(found["se"][1])
        inside += int(found["lower"][1] < size < found["upper"][1])
    # Bounds that chance passes once in ten thousand runs.
    assert binom.ppf(5e-5, worlds * 5, 0.05) <= alarms <= binom.ppf(1 - 5e-5, worlds * 5, 0.05)
    assert inside >= binom.ppf(1e-4, worlds, 0.95)
    assert abs(np.mean(estimates) - size) < 3.9 * np.mean(errors) / np.sqrt(worlds)
    power = norm.sf(1.96 - size / np.mean(errors))
    assert finds >= binom.ppf(1e-4, worlds, power)


def test_classes_and_sizes():
    estimate = np.array([0.42, 0.43, 0.64, -0.64, 0.64, 2.0, np.nan, 0.9])
    se = np.array([0.01, 0.1, 0.1, 0.1, 0.2, 1.5, 0.1, 0.28])
    # Bounds .4255 and .6383; (.64 - .4255) / .1 = 2.1 > 1.645 is large, / .2 is not; 2 / 1.5 is no difference at all.
    assert ets_class(estimate, se).tolist() == ["A", "B", "C", "C", "B", "A", "", "C"]
    draws = np.array([[0.1, -0.5], [0.5, -0.7], [0.7, -0.9], [-0.2, 0.1]])
    assert class_probabilities(draws).tolist() == [[0.5, 0.25], [0.25, 0.25], [0.25, 0.5]]
    assert essd_size(np.array([0.1, -0.2, 0.5, -0.9, np.nan])).tolist() == [
        "negligible",
        "small",
        "medium",
        "large",
        "",
    ]


def test_levels_that_cannot_be_compared(world):
    right, focal, _ = world
    right = right.copy()
    right[focal, 4] = 1
    long = table_of(right, focal).to_frame()
    long = long[~((long["item"] == "i3") & (long["group"] == "b"))]
    table = ps.ResponseTable.from_frame(long, response="response", subject="subject", item="item", facets="group")
    found = ps.differential_functioning(ps.Rasch(), table, group="group", reference="a", correction="fdr_bh")
    rows = found.frame.set_index("level")
    assert rows.loc["i3", "note"] == "no responses in group 'b'"
    assert rows.loc["i4", "note"] == "all lowest or all highest in group 'b': no finite difference"
    assert rows.loc[["i3", "i4"], ["estimate", "p", "p_holm", "p_bh"]].isna().all(axis=None)
    assert (rows.loc[["i3", "i4"], ["effect_class", "flag"]] == "").all(axis=None)
    assert rows.loc["i2", "flag"].endswith(("p_bh under 0.001", f"p_bh {rows.loc['i2', 'p_bh']:.3f}"))


def test_no_anchor_left():
    """Two items that differ in opposite ways: which of them differs cannot be known."""
    right, focal = answers(5, n=300, difficulty=np.array([0.0, 0.3]), shift=[0.8, -0.8])
    found = ps.differential_functioning(ps.Rasch(), table_of(right, focal), group="group", reference="a")
    assert found.frame["anchor"].tolist().count(True) == 1
    assert any("no anchor is left" in note for note in found.notes)
    assert found.frame.loc[found.frame["anchor"], "note"].tolist() == ["the only anchor: others differ relative to it"]
    assert found.frame["estimate"].notna().tolist() == (~found.frame["anchor"]).tolist()


def test_refusals(world):
    _, _, table = world

    def run(model=None, data=table, **settings):
        return ps.differential_functioning(model or ps.Rasch(), data, **({"group": "group"} | settings))

    with pytest.raises(DataError, match="no facet 'grup'; did you mean 'group'"):
        run(group="grup")
    with pytest.raises(DataError, match="must be a property of the subjects"):
        run(group="item")
    with pytest.raises(DataError, match=r"has one level, \['a'\]; a comparison needs two"):
        run(data=table.select("group", ["a"]))
    frame = table.to_frame()
    odd = frame.assign(group=np.where(frame.index < 2, "b", frame["group"]))
    mixed = ps.ResponseTable.from_frame(odd, response="response", subject="subject", item="item", facets="group")
    with pytest.raises(DataError, match="'group' varies within 2 subjects of 400, first 0"):
        run(data=mixed)
    few = table.select("subject", [*range(100), *range(200, 204)])
    with pytest.raises(DataError, match="group 'b' of 'group' has 4 subjects, too few"):
        run(data=few)
    with pytest.raises(DataError, match="no facet 'judge'"):
        run(facet="judge")
    with pytest.raises(DataError, match="the table has no facet 'judge', which the model reads"):
        run(ps.ManyFacetRasch())
    with pytest.raises(DataError, match="'item' has one level"):
        run(ps.ManyFacetRasch(facets=("item",)), data=table.select("item", ["i1"]))
    with pytest.raises(DataError, match="reference='c' is no level of 'group'"):
        run(reference="c")
    with pytest.raises(DataError, match="anchors='all' is not 'purified'"):
        run(anchors="all")
    with pytest.raises(DataError, match=r"anchors names \['i9'\]"):
        run(anchors=["i9"])
    with pytest.raises(DataError, match="anchors names 6 of 6 levels; name some, and not all"):
        run(anchors=list(table.levels["item"]))
    for setting in ({"method": "mh"}, {"kind": "any"}, {"correction": "bonferroni"}):
        with pytest.raises(DataError, match="is not known: use one of"):
            run(**setting)
    for setting in ({"alpha": 0.0}, {"level": 1.0}, {"prior_sd": -1.0}):
        with pytest.raises(DataError, match="must"):
            run(**setting)
    with pytest.raises(DataError, match='engine= is for method="posterior"'):
        run(engine=ps.Laplace())
    with pytest.raises(DataError, match="gives no draws"):
        run(method="posterior", engine=ps.MAP())
    with pytest.raises(DataError, match="the model is a str"):
        run("rasch")
    with pytest.raises(DataError, match="BradleyTerry has no subjects"):
        run(ps.BradleyTerry())
    with pytest.raises(DesignError, match="NominalResponse has no location for each item"):
        run(ps.NominalResponse())
    with pytest.raises(DesignError, match="ThreePL needs a prior"):
        run(ps.ThreePL())
    with pytest.raises(DesignError, match="facet 'item' is random"):
        run(ps.ManyFacetRasch(facets=("item",), random=("item",)))
    with pytest.raises(DesignError, match="population reads"):
        run(ps.Rasch(population=ps.Population(covariates="item")))
