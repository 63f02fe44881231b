"""Rasch and partial credit fits against R packages, from ../shared/oracles/fits (TAM 4.4-2, mirt 1.45.1, lme4 1.1-31).

Conversions. The R fits fix the mean of θ at zero and leave the items free; here items are centred and the mean is free,
so that their item location is ours minus the population mean. TAM's `xsi` and mirt's `b` are difficulties like ours;
mirt's `d` and lme4's fixed effects are easiness, minus a difficulty.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

# TAM and mirt stop EM when parameters move by less than 1e-6 to 1e-8; EM's last step understates the distance left.
LOGLIK, ESTIMATE = 1e-4, 1e-3
PCM = ps.ManyFacetRasch(facets=("item",), steps="item")
RATING_SCALE = ps.ManyFacetRasch(facets=("item",))
FITS = {
    "TAM/raschdat1_1PL": (ps.Rasch(), -1752.855060),
    "TAM/sim_rasch_1PL": (ps.Rasch(), -10726.282064),
    "TAM/pcmdat2_PCM": (PCM, -1101.758955),
    "TAM/pcmdat2_RSM": (RATING_SCALE, -1108.395198),
    "TAM/gpcm_PCM": (PCM, -1232.049383),
    "TAM/gpcm_PCM2": (PCM, -1232.049383),
    "TAM/gpcm_RSM": (RATING_SCALE, -1247.824912),
    "TAM/Science_PCM": (PCM, -1619.274099),
    "mirt/LSAT7_Rasch": (ps.Rasch(), -2664.900891),
    "mirt/SAT12_Rasch": (ps.Rasch(), -9643.469440),
    "mirt/Science_Rasch": (PCM, -1619.274101),
}


def answers(path) -> ps.ResponseTable:
    """A persons × items file as a table."""
    frame = pd.read_csv(path).rename_axis("person").reset_index()
    long = frame.melt("person", var_name="item", value_name="score").dropna()
    return ps.ResponseTable.from_frame(long, response="score", subject="person", item="item")


@pytest.fixture(scope="module", params=FITS)
def case(request, oracles):
    model, loglik = FITS[request.param]
    record = json.loads((oracles / "fits" / f"{request.param}.json").read_text())
    return ps.fit(model, answers(oracles / "fits" / record["data_csv"])), record, loglik, request.param


def item_steps(fit: ps.Fit) -> dict[str, np.ndarray]:
    """δ_i + τ_ik − μ by item: where categories k−1 and k are equally likely."""
    items = fit.estimates("item")
    steps = fit.parameters.get("step", np.zeros((1, 1)))
    steps = np.broadcast_to(steps, (len(items), steps.shape[1]))
    mean = float(fit.parameters["population_mean"])
    return {label: row + steps[i] - mean for i, (label, row) in enumerate(items[["level", "estimate"]].values)}


def published(record) -> tuple[dict[str, np.ndarray], float]:
    """The same numbers, and the variance of θ, as the R fit has them."""
    if "xsi" in record:
        item = record["item"]
        cumulated = np.array([item[key] for key in item if key.startswith("AXsi_.Cat")])
        steps = np.diff(cumulated, axis=0, prepend=0.0)
        return dict(zip(item["item"], steps.T, strict=True)), record["variance"]
    table = record["IRTpars"]["items"]
    names = [key for key in ("b", "b1", "b2", "b3") if key in table]
    steps = np.array([table[key] for key in names])
    variance = record["IRTpars"]["cov"]["F1"]
    return dict(zip(table[".row"], steps.T, strict=True)), variance[0] if isinstance(variance, list) else variance


@pytest.mark.shared_data
def test_log_likelihood(case, held):
    fit, record, loglik, name = case
    held(name, "log-likelihood", fit.log_likelihood, loglik, atol=LOGLIK)
    assert record["loglik"] == pytest.approx(loglik, abs=1e-6)
    assert fit.aic == pytest.approx(2 * record["npar"] - 2 * loglik, abs=2 * LOGLIK)


@pytest.mark.shared_data
def test_items_and_steps(case, held):
    fit, record, _, name = case
    expected, _ = published(record)
    found = item_steps(fit)
    assert set(found) == set(expected)
    held(name, "items and steps", [found[label] for label in expected], list(expected.values()), atol=ESTIMATE)


@pytest.mark.shared_data
def test_variance_of_the_population(case, held):
    fit, record, _, name = case
    held(name, "variance of θ", fit.parameters["population_sd"] ** 2, published(record)[1], atol=2 * ESTIMATE)


@pytest.mark.shared_data
def test_joint_estimates_against_tam(oracles, held):
    """TAM keeps extreme persons in with adjusted scores; raschdat1 has none, so that both fit the same likelihood."""
    record = json.loads((oracles / "fits/TAM/raschdat1_jml_biasFALSE.json").read_text())
    fit = ps.fit(ps.Rasch(), answers(oracles / "fits/TAM/raschdat1.csv"), engine=ps.JointML())
    name = "TAM/raschdat1_jml_biasFALSE"
    held(name, "log-likelihood", fit.log_likelihood, record["loglik"], atol=1e-6)
    items = fit.estimates("item").set_index("level")["estimate"]
    shift = fit.estimates("subject")["estimate"].mean()
    names = record["item"]["item"]
    # TAM stops at changes of 1e-8 per sweep, and a sweep halves the distance at worst.
    held(name, "items", items[names] - shift, record["xsi"], atol=1e-5)
    # Its persons are sorted by score.
    subjects = fit.estimates("subject")["estimate"] - shift
    held(name, "subjects", np.sort(subjects), np.sort(record["theta"]), atol=1e-5)
    # `bias=TRUE` multiplies the items by (I − 1)/I and does nothing else.
    corrected = json.loads((oracles / "fits/TAM/raschdat1_jml_biasTRUE.json").read_text())
    ours = (items[names] - shift) * (len(items) - 1) / len(items)
    held("TAM/raschdat1_jml_biasTRUE", "items, times (I − 1)/I", ours, corrected["xsi"], atol=1e-5)


@pytest.mark.shared_data
def test_joint_likelihood_at_tams_estimates(oracles, held):
    """data.gpcm has 17 extreme persons, whom we set aside and TAM adjusts: the likelihoods agree at TAM's estimates."""
    import jax.numpy as jnp

    from psymetric.core.precision import double_precision
    from psymetric.estimation.problems import joint_problem

    record = json.loads((oracles / "fits/TAM/data_gpcm_jml_biasFALSE.json").read_text())
    table = answers(oracles / "fits/TAM/data_gpcm.csv")
    steps = dict(zip(record["item"]["item"], np.array(record["xsi"]).reshape(3, 3), strict=True))
    steps = np.array([steps[label] for label in table.levels["item"]])
    with double_precision():
        problem = joint_problem(PCM, table, prior=False)
        values = {"ability": np.array(record["theta"]), "item": steps.mean(axis=1)}
        params = {name: jnp.asarray(value) for name, value in values.items()}
        params["step"] = jnp.asarray(steps - steps.mean(axis=1, keepdims=True))
        found = PCM.log_likelihood(params, problem.codes, problem.response, problem.weight, problem.n_categories)
    held("TAM/data_gpcm_jml_biasFALSE", "log-likelihood at its estimates", found, -870.803731, atol=1e-5)


@pytest.mark.shared_data
def test_lme4_with_standard_errors(oracles, held):
    """glmer with 25-point adaptive quadrature: items and raters of data.ex10, easiness, raters sum to zero."""
    record = json.loads((oracles / "fits/lme4/ex10_item_rater_agq25.json").read_text())
    frame = pd.read_csv(oracles / "fits/TAM/ex10_long.csv")
    table = ps.ResponseTable.from_frame(frame, response="score", subject="pid", item="item", facets=("rater",))
    fit = ps.fit(ps.ManyFacetRasch(facets=("item", "rater")), table)
    name = "lme4/ex10_item_rater_agq25"
    held(name, "log-likelihood", fit.log_likelihood, record["loglik"], atol=1e-5)
    estimate, error = record["fixef"]["Estimate"], record["fixef"]["Std. Error"]
    # bobyqa stops at relative changes of 1e-6 in the deviance: 1e-3 standard errors.
    items = fit.estimates("item")["estimate"] - float(fit.parameters["population_mean"])
    held(name, "items (easiness)", -items, estimate[:5], atol=2e-4)
    raters = fit.estimates("rater")
    held(name, "raters (leniency)", -raters["estimate"][:2], estimate[5:], atol=1e-4)
    held(name, "SE of raters", raters["se"][:2], error[5:], rtol=1e-3)
    held(name, "sd of subjects", fit.parameters["population_sd"], record["sd_random"]["pid"], atol=2e-4)
