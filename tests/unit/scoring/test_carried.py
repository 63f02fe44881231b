"""Scores with uncertain parameters: closed forms, a second implementation by scoring again, and posterior draws."""

from __future__ import annotations

from dataclasses import replace

import engine_cases
import numpy as np
import pandas as pd
import pytest
from rated_world import naive_posterior, rated_table

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.errors import DataError
from psymetric.estimation.parameter_draws import parameter_draws

SOLVED = 1e-6  # both sides are solved to far better than this
BAND = 4.5  # standard errors: the largest of some hundred checks by chance


def shifting(fit: ps.Fit, sd: float) -> ps.Fit:
    """The fit with one uncertainty left: items and population move up and down together, sd in logits."""
    moved = {"item": sd, "population_mean": sd}
    return replace(
        fit,
        factors={name: np.full((*np.shape(value), 1), moved.get(name, 0.0)) for name, value in fit.parameters.items()},
    )


def score(fit: ps.Fit, table: ps.ResponseTable, method: str, parameters: str = "uncertain", **options) -> pd.DataFrame:
    return ps.score(fit, table, method=method, parameters=parameters, **options).frame.set_index("subject")


@pytest.mark.parametrize("method", ["ml", "wle", "map"])
def test_a_common_shift_adds_exactly_its_variance(marginal, table, method):
    """θ enters through θ − δ alone: if all δ (and the population) move by z, so does the estimate."""
    known, carried = score(marginal, table, method, "known"), score(shifting(marginal, 0.4), table, method)
    np.testing.assert_array_equal(carried["estimate"], known["estimate"])
    np.testing.assert_allclose(carried["se"] ** 2, known["se"] ** 2 + 0.4**2, atol=1e-9)
    assert carried["extreme"].sum() == 3


@pytest.mark.parametrize("method", ["eap", "sum_eap"])
def test_a_common_shift_convolves_posteriors(marginal, table, method):
    """Every posterior is moved as it is, so that its variance grows by that of the draws."""
    fit, n = shifting(marginal, 0.4), 20
    known, carried = score(fit, table, method, "known"), score(fit, table, method, parameter_draws=n)
    drawn = parameter_draws(fit, ("population_mean",), n=n, seed=0, who="test")["population_mean"]
    shift = drawn.mean() - float(marginal.parameters["population_mean"])
    np.testing.assert_allclose(carried["estimate"], known["estimate"] + shift, atol=SOLVED)
    np.testing.assert_allclose(carried["se"] ** 2, known["se"] ** 2 + drawn.var(), atol=SOLVED)
    # Twenty draws, ten of them mirrored: the variance of ten normal numbers.
    assert abs(drawn.var() / 0.4**2 - 1) < BAND * np.sqrt(2 / 10)


def test_a_wide_shift_is_reached(marginal, table):
    """Draws that spread ten times as wide as a posterior: the nodes follow."""
    fit = shifting(marginal, 6.0)
    known, carried = score(fit, table, "eap", "known"), score(fit, table, "eap", parameter_draws=10)
    drawn = parameter_draws(fit, ("population_mean",), n=10, seed=0, who="test")["population_mean"]
    np.testing.assert_allclose(carried["se"] ** 2, known["se"] ** 2 + drawn.var(), rtol=1e-5)


def test_a_shift_is_shared_by_all_plausible_values_of_a_column(marginal, table):
    """A group mean moves with the items: its variance over columns is that of the shift, and hardly less."""
    fit, n_columns = shifting(marginal, 3.0), 40
    values = score(fit, table, "plausible", draws=n_columns).filter(regex=r"^pv\d+$").to_numpy()
    within = score(fit, table, "eap", "known")["se"].to_numpy()
    expected = 3.0**2 + np.mean(within**2) / len(values)
    assert abs(values.mean(axis=0).var(ddof=1) / expected - 1) < BAND * np.sqrt(2 / (n_columns - 1))
    # Columns are independent draws of the parameters: the second half does not mirror the first.
    halves = values.mean(axis=0).reshape(2, -1)
    assert abs(np.corrcoef(halves)[0, 1]) < 0.9


MODELS = {
    "many facets": (ps.ManyFacetRasch(steps="judge"), None),
    "interaction": (ps.ManyFacetRasch(interactions=(("judge", "item"),)), None),
    "slopes and steps": (ps.GeneralizedPartialCredit(), None),
    "guessing": (ps.ThreePL(), 3),
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request, frame) -> tuple[ps.Fit, ps.ResponseTable]:
    model, cut = MODELS[request.param]
    if cut is not None:
        # The nine judgements of a text as nine right-or-wrong items.
        frame = frame.assign(stars=(frame["stars"] >= cut).astype(int), item=frame["item"] + frame["judge"])
        table = ps.ResponseTable.from_frame(frame, response="stars", subject="text", item="item", categories=[0, 1])
    else:
        table = rated_table(frame)
    return ps.fit(model, table, engine=ps.MAP()), table


@pytest.mark.parametrize("method", ["ml", "wle", "map"])
def test_the_delta_method_is_scoring_again_nearby(fitted, method):
    """Central differences of whole scorings along every direction of the factors, extreme scores included."""
    fit, table = fitted
    step, known = 1e-4, score(fit, table, method, "known")
    rank = next(iter(fit.factors.values())).shape[-1]
    total = np.zeros(len(known))
    for direction in range(rank):
        ends = []
        for side in (step, -step):
            moved = {name: value + side * fit.factors[name][..., direction] for name, value in fit.parameters.items()}
            ends.append(score(replace(fit, parameters=moved), table, method, "known")["estimate"].to_numpy())
        total += ((ends[0] - ends[1]) / (2 * step)) ** 2
    carried = score(fit, table, method)
    np.testing.assert_array_equal(carried["estimate"], known["estimate"])
    # Where guessing is possible, the likelihood of a subject at chance level rises without end, and has no estimate.
    ended = (known["estimate"].abs() < 50).to_numpy()
    assert ended.sum() > 30
    # A difference of roots solved to 1e-9, over twice the step, has an error of 1e-5.
    added = np.sqrt(carried["se"] ** 2 - known["se"] ** 2)
    np.testing.assert_allclose(added[ended], np.sqrt(total)[ended], atol=1e-4)
    notes = ps.score(fit, table, method=method).notes
    assert any("rises without end" in note for note in notes) == (not ended.all())


def test_eap_is_the_law_of_total_variance_over_rescorings(marginal, table):
    """Each draw's scores by `score` itself, averaged by hand."""
    n = 8
    drawn = parameter_draws(marginal, tuple(marginal.factors), n=n, seed=4, who="test")
    fits = [replace(marginal, parameters={k: value[m] for k, value in drawn.items()}) for m in range(n)]
    each = [score(fit, table, "eap", "known") for fit in fits]
    means, variances = np.stack([e["estimate"] for e in each]), np.stack([e["se"] ** 2 for e in each])
    found = score(marginal, table, "eap", parameter_draws=n, seed=4, level=0.8)
    np.testing.assert_allclose(found["estimate"], means.mean(axis=0), atol=SOLVED)
    np.testing.assert_allclose(found["se"] ** 2, variances.mean(axis=0) + means.var(axis=0), atol=SOLVED)
    for subject in ("s0", "top"):
        row, grids = found.loc[subject], [naive_posterior(fit, table, subject) for fit in fits]
        below = np.mean([weight[theta < row["lower"]].sum() for theta, weight in grids])
        above = np.mean([weight[theta > row["upper"]].sum() for theta, weight in grids])
        # The naive grid cuts the tail at a node: one node's mass is at most .016.
        assert below == pytest.approx(0.1, abs=0.016)
        assert above == pytest.approx(0.1, abs=0.016)


@pytest.fixture(scope="module")
def sixty() -> ps.ResponseTable:
    return engine_cases.table(engine_cases.frame())


def test_normal_draws_agree_with_laplace(sixty):
    """Laplace draws parameters from the same normal distribution and then every subject: only chance differs."""
    n_drawn, n_laplace = 400, 4_000
    laplace = score(ps.fit(engine_cases.MODEL, sixty, engine=ps.Laplace(draws=n_laplace)), sixty, "eap", "as_fitted")
    mode = ps.fit(engine_cases.MODEL, sixty, engine=ps.MAP())
    known, carried = score(mode, sixty, "eap", "known"), score(mode, sixty, "eap", parameter_draws=n_drawn)
    between = carried["se"] ** 2 - known["se"] ** 2
    error = np.sqrt(carried["se"] ** 2 / n_laplace + between.clip(lower=0) / (n_drawn / 2))
    assert (np.abs(carried["estimate"] - laplace["estimate"]) < BAND * error).all()
    # A variance of n draws has a relative error of √(2/n); half the mirrored draws are independent.
    share = between.clip(lower=0) / carried["se"] ** 2
    relative = np.sqrt(2 / n_laplace + share**2 * 2 / (n_drawn / 2))
    assert (np.abs(carried["se"] ** 2 / laplace["se"] ** 2 - 1) < BAND * relative).all()
    # The check can fail: posteriors at the mode are too narrow.
    assert (np.abs(known["se"] ** 2 / laplace["se"] ** 2 - 1) > BAND * relative).mean() > 0.1


def test_posteriors_over_sampled_parameters_are_the_samplers_own(sixty):
    """In a Rasch model the sum says all: `sum_eap` over NUTS's parameters against NUTS's own draws of the subjects."""
    fit = ps.fit(engine_cases.MODEL, sixty, engine=engine_cases.ENGINES["NUTS"])
    n_drawn, own = 200, score(fit, sixty, "eap", "as_fitted")
    carried, known = (score(fit, sixty, "sum_eap", p, parameter_draws=n_drawn) for p in ("uncertain", "known"))
    n_nuts = fit.status.details["ess_bulk"]
    between = (own["se"] ** 2 - known["se"] ** 2).clip(lower=0)
    error = np.sqrt(own["se"] ** 2 / n_nuts + between / n_drawn)
    assert (np.abs(carried["estimate"] - own["estimate"]) < BAND * error).all()
    relative = np.sqrt(2 / n_nuts + (between / own["se"] ** 2) ** 2 * 2 / n_drawn)
    assert (np.abs(carried["se"] ** 2 / own["se"] ** 2 - 1) < BAND * relative).all()
    assert "200 joint draws" in ps.score(fit, sixty, method="sum_eap", parameters="uncertain").carries


def test_delta_method_and_joint_information_are_the_same(joint, table, frame):
    """JointML profiles subjects out of one information matrix; the delta method goes the other way about it."""
    shuffled = rated_table(frame.sample(frac=1, random_state=0))
    by_delta = ps.score(joint, shuffled, method="ml", parameters="uncertain")
    own = joint.estimates("subject").set_index("level")
    ordinary = ~by_delta.frame.set_index("subject")["extreme"]
    found = by_delta.frame.set_index("subject")["se"]
    # The fit's information is that of a point up to 1e-3 logits from the mode (`core.optimizers`).
    np.testing.assert_allclose(found[ordinary], own.loc[found.index, "se"][ordinary], rtol=1e-3)
    assert by_delta.carries.endswith("uncertainty of items, judges and steps (delta method).")
    same = ps.score(joint, table, method="ml", parameters="uncertain")
    assert "joint information" in same.carries


@pytest.mark.parametrize("method", ["eap", "sum_eap", "map", "ml", "wle"])
def test_new_subjects_and_some_of_the_items(marginal, table, frame, method):
    """A subject's errors do not depend on who else is in the table; fewer items leave more to say."""
    chosen = frame[frame["text"].isin(["s3", "s5"])].replace({"text": {"s3": "new", "s5": "newer"}})
    few = {"parameter_draws": 20}
    whole, part = (score(marginal, t, method, **few) for t in (table, rated_table(chosen)))
    columns = ["estimate", "se", "lower", "upper"]
    np.testing.assert_allclose(part.loc[["new", "newer"], columns], whole.loc[["s3", "s5"], columns], atol=1e-4)
    fewer = score(marginal, rated_table(chosen[chosen["item"] == "i1"]), method, **few)
    assert (fewer["se"] > part["se"]).all()


def test_known_is_known_for_fits_of_draws_and_joint_fits(drawn, joint, table):
    for fit, method in ((drawn, "eap"), (joint, "ml")):
        assert "taken as known" in ps.score(fit, table, method=method, parameters="known").carries
    means = replace(drawn, draws=None)
    at_means = score(means, table, "eap", "known")
    pd.testing.assert_frame_equal(score(drawn, table, "eap", "known"), at_means)


def test_wider_parameters_widen_scores(marginal, table):
    """Robust and bootstrap errors enter through the same factors."""
    robust = ps.robust_errors(marginal, table)
    carried = [score(fit, table, "wle")["se"] for fit in (marginal, robust)]
    assert not np.allclose(*carried, rtol=1e-4)
    assert (score(marginal, table, "wle", "known")["se"] < np.minimum(*carried)).all()


def test_what_the_scores_say(marginal, joint, table):
    drawn = ps.score(marginal, table, parameters="uncertain", parameter_draws=7, seed=5)
    assert drawn.carries == (
        "The spread of each subject's responses and the uncertainty of items, judges, steps and population "
        "(8 joint draws)."
    )
    assert drawn.provenance.settings["parameters"] == "uncertain"
    assert drawn.provenance.seed == 5
    by_delta = ps.score(marginal, table, method="map", parameters="uncertain")
    assert by_delta.carries.endswith("items, judges, steps and population (delta method).")
    assert by_delta.provenance.seed is None
    assert isinstance(by_delta.provenance, Provenance)
    moments = ps.score(joint, table, parameters="uncertain", parameter_draws=4)
    assert moments.carries.endswith("uncertainty of items, judges and steps (4 joint draws).")
    assert any("JointML has no population" in note for note in moments.notes)
    again = ps.score(marginal, table, parameters="uncertain", parameter_draws=7, seed=5)
    pd.testing.assert_frame_equal(again.frame, drawn.frame)


def test_subjects_without_information(marginal, frame):
    """No response counts: no ML estimate and no error, and the population as posterior, its own uncertainty added."""
    chosen = frame[frame["text"].isin(["s0", "s1"])]
    silent = rated_table(chosen.assign(n=np.where(chosen["text"] == "s1", 0.0, 1.0)), weight="n")
    by_wle = score(marginal, silent, "wle").loc["s1", ["estimate", "se"]].astype(float)
    assert by_wle.isna().all()
    error = float(marginal.standard_errors["population_mean"])
    carried = score(marginal, silent, "eap").loc["s1", "se"]
    assert carried > float(marginal.parameters["population_sd"])
    by_map = score(marginal, silent, "map").loc["s1"]
    assert by_map["se"] ** 2 == pytest.approx(float(marginal.parameters["population_sd"]) ** 2 + error**2, rel=1e-9)


def test_bad_settings(marginal, table):
    with pytest.raises(DataError, match=r"score: parameters='drawn' is not known: use one of \['as_fitted', 'known'"):
        ps.score(marginal, table, parameters="drawn")
    with pytest.raises(DataError, match=r"score: parameter_draws=1; ask for at least 2"):
        ps.score(marginal, table, parameters="uncertain", parameter_draws=1)
    bare = replace(marginal, factors={})
    with pytest.raises(DataError, match=r"score: this fit keeps no joint uncertainty of 'item'.*parameters=\"known\""):
        ps.score(bare, table, parameters="uncertain")


def test_a_judge_with_an_extreme_score_is_refused(table, frame):
    """JointML sets such a judge aside; its estimate rests on an adjusted score and varies with nothing."""
    mild = pd.concat([frame, frame[frame["judge"] == "ann"].assign(judge="dot", stars=4)])
    both = rated_table(mild)
    fit = ps.fit(ps.ManyFacetRasch(), both, engine=ps.JointML())
    n_rows = int((mild["judge"] == "dot").sum())
    for method in ("wle", "eap"):
        with pytest.raises(DataError, match=rf"{n_rows} of {len(mild)} responses meet a level of 'judge' with an extr"):
            ps.score(fit, both, method=method, parameters="uncertain")
    without = score(fit, table, "wle")
    assert np.isfinite(without["se"]).all()
