"""Models with slopes against R packages, from ../shared/oracles/fits (TAM 4.4-2, mirt 1.45.1).

All take θ from N(0, 1). mirt's `a`, `b` and TAM's `alpha`, `beta`, `tau` are ours; mirt's `d` is −ab, and its nominal
category slopes `a1 · ak` and TAM's `Cat` are our slopes cumulated.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

# EM in R stops when parameters move by less than 1e-8 (mirt) or 1e-6 (TAM), which understates the distance left.
LOGLIK = 1e-4
FITS = {
    "mirt/LSAT7_2PL": (ps.TwoPL(), -2658.805114),
    "mirt/SAT12_2PL": (ps.TwoPL(), -9488.955013),
    "TAM/sim_rasch_2PL": (ps.TwoPL(), -10719.263051),
    "mirt/Science_graded": (ps.GradedResponse(), -1608.869413),
    "mirt/Science_nominal": (ps.NominalResponse(), -1608.452002),
    "TAM/gpcm_GPCM": (ps.GeneralizedPartialCredit(), -1225.344827),
    "TAM/gpcm_NRM": (ps.NominalResponse(), -1219.228049),
}


@pytest.fixture(scope="module")
def fitted(oracles):
    known: dict[str, tuple[ps.Fit, dict]] = {}

    def of(name: str) -> tuple[ps.Fit, dict]:
        if name not in known:
            record = json.loads((oracles / "fits" / f"{name}.json").read_text())
            frame = pd.read_csv(oracles / "fits" / record["data_csv"]).rename_axis("person").reset_index()
            long = frame.melt("person", var_name="item", value_name="score").dropna()
            table = ps.ResponseTable.from_frame(long, response="score", subject="person", item="item")
            known[name] = ps.fit(FITS[name][0], table), record
        return known[name]

    return of


def column(fit: ps.Fit, parameter: str, names: list[str]) -> np.ndarray:
    return fit.estimates(parameter).set_index("level")["estimate"].reindex(names).to_numpy()


@pytest.mark.shared_data
@pytest.mark.parametrize("name", FITS)
def test_log_likelihood(fitted, name, held):
    fit, record = fitted(name)
    held(name, "log-likelihood", fit.log_likelihood, FITS[name][1], atol=LOGLIK)
    assert fit.log_likelihood >= record["loglik"] - 1e-6
    assert fit.n_parameters == record["npar"]
    assert fit.aic == pytest.approx(record["AIC"], abs=2 * LOGLIK)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["mirt/LSAT7_2PL", "mirt/SAT12_2PL"])
def test_two_pl(fitted, name, held):
    fit, record = fitted(name)
    expected = pd.DataFrame(record["IRTpars"]["items"]).set_index(".row")
    names = [*expected.index]
    held(name, "discriminations", column(fit, "discrimination", names), expected["a"], atol=2e-4)
    held(name, "items", column(fit, "item", names), expected["b"], atol=1e-3, rtol=1e-3)
    errors = fit.estimates("discrimination").set_index("level")["se"].reindex(names)
    published = [record["coef_with_SE"][item]["a1"][1] for item in names]
    # mirt differentiates numerically (Oakes): four digits.
    held(name, "SE of discriminations", errors, published, rtol=2e-3)


@pytest.mark.shared_data
def test_graded_response(fitted, held):
    fit, record = fitted("mirt/Science_graded")
    expected = pd.DataFrame(record["IRTpars"]["items"]).set_index(".row")
    names = [*expected.index]
    held("mirt/Science_graded", "discriminations", column(fit, "discrimination", names), expected["a"], atol=1e-3)
    steps = fit.estimates("step").pivot(index="group", columns="step", values="estimate").reindex(names).to_numpy()
    thresholds = column(fit, "item", names)[:, None] + steps
    held("mirt/Science_graded", "thresholds", thresholds, expected[["b1", "b2", "b3"]], atol=2e-3)
    errors = fit.estimates("discrimination").set_index("level")["se"].reindex(names)
    published = [record["coef_with_SE"][item]["a1"][1] for item in names]
    held("mirt/Science_graded", "SE of discriminations", errors, published, rtol=2e-3)


@pytest.mark.shared_data
def test_generalized_partial_credit(fitted, held):
    fit, record = fitted("TAM/gpcm_GPCM")
    expected = pd.DataFrame(record["item_irt"]).set_index("item")
    names = [*expected.index]
    held("TAM/gpcm_GPCM", "discriminations", column(fit, "discrimination", names), expected["alpha"], atol=1e-3)
    held("TAM/gpcm_GPCM", "items", column(fit, "item", names), expected["beta"], atol=2e-3)
    steps = fit.estimates("step").pivot(index="group", columns="step", values="estimate").reindex(names)
    held("TAM/gpcm_GPCM", "steps", steps, expected[["tau.Cat1", "tau.Cat2", "tau.Cat3"]], atol=3e-3)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["mirt/Science_nominal", "TAM/gpcm_NRM"])
def test_nominal_response(fitted, name, held):
    fit, record = fitted(name)
    if name.startswith("mirt"):
        rows = {item: value for item, value in record["coef_with_SE"].items() if item != "GroupPars"}
        expected = {item: [row["a1"][0] * row[f"ak{k}"][0] for k in (1, 2, 3)] for item, row in rows.items()}
    else:
        frame = pd.DataFrame(record["B_slopes"]).set_index(".row")
        expected = {item: frame.loc[item, ["Cat1", "Cat2", "Cat3"]].to_list() for item in frame.index}
    estimates = fit.estimates("slope")
    slopes = estimates.pivot(index="group", columns="step", values="estimate").cumsum(axis=1).reindex([*expected])
    # On the flat ridge of a rare category's slopes EM creeps: its likelihoods are lower than ours (see above), and its
    # slopes within a fiftieth of their standard errors.
    errors = estimates.pivot(index="group", columns="step", values="se").reindex([*expected])
    away = (slopes - np.array([*expected.values()])) / errors
    held(name, "category slopes, in standard errors from theirs", away, 0 * away, atol=1 / 50)
