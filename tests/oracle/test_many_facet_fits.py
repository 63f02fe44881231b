"""Many-facet fits against independent maximisations and R packages, from ../shared/oracles/fits.

Conversion: the oracles fix the mean of θ at zero and leave items free, here items are centred and the mean is free,
so that their item difficulty is ours minus the population mean; raters and steps are centred in both. Their
likelihood is normalised on a discrete grid, as ours is.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

# The oracles stopped at gradients of about 1e-5: 1e-6 in the log-likelihood, 1e-6 in estimates.
LOGLIK, ESTIMATE, ERROR = 2e-6, 5e-6, 1e-5

FITS = {
    "TAM/ratings1_RSM_independent_python": ("TAM/ratings1_long.csv", "common"),
    "TAM/ratings1_PCM_independent_python": ("TAM/ratings1_long.csv", "item"),
    "TAM/simmfr_RSM_independent_python": ("TAM/simmfr_long.csv", "common"),
    "TAM/simmfr_PCM_independent_python": ("TAM/simmfr_long.csv", "item"),
    "TAM/simmfr_RSTEP_independent_python": ("TAM/simmfr_long.csv", "judge"),
    "TAM/ex10_PCM_independent_python": ("TAM/ex10_long.csv", "item"),
    "timing/independent_python_mfr_500p_20r_RSM_121nodes": (
        "timing/mfr_500p_20r_4k_5i_5c_long.csv.gz",
        "common",
    ),
}


def ratings(path) -> ps.ResponseTable:
    frame = pd.read_csv(path)
    subject = "pid" if "pid" in frame else "person"
    frame = frame.astype({"item": str})
    return ps.ResponseTable.from_frame(
        frame.rename(columns={"rater": "judge"}), response="score", subject=subject, item="item", facets=("judge",)
    )


@pytest.fixture(scope="module", params=FITS)
def fitted(request, oracles):
    csv, steps = FITS[request.param]
    expected = json.loads((oracles / "fits" / f"{request.param}.json").read_text())
    return ps.fit(ps.ManyFacetRasch(steps=steps), ratings(oracles / "fits" / csv)), expected


@pytest.mark.shared_data
def test_log_likelihood(fitted):
    fit, expected = fitted
    assert fit.log_likelihood == pytest.approx(expected["loglik"], abs=LOGLIK)


@pytest.mark.shared_data
def test_items(fitted):
    fit, expected = fitted
    items = fit.estimates("item").set_index("level")["estimate"] - float(fit.parameters["population_mean"])
    wanted = {
        key.removeprefix("I") if key.removeprefix("I") in items.index else key: v for key, v in expected["item"].items()
    }
    np.testing.assert_allclose([items[key] for key in wanted], list(wanted.values()), atol=ESTIMATE)


@pytest.mark.shared_data
def test_judges_and_their_standard_errors(fitted):
    fit, expected = fitted
    judges = fit.estimates("judge").set_index(fit.estimates("judge")["level"].astype(str))
    names = list(expected["rater"])
    np.testing.assert_allclose(judges.loc[names, "estimate"], [expected["rater"][n] for n in names], atol=ESTIMATE)
    np.testing.assert_allclose(judges.loc[names, "se"], [expected["se_rater"][n] for n in names], atol=ERROR)


@pytest.mark.shared_data
def test_steps_and_population(fitted):
    fit, expected = fitted
    np.testing.assert_allclose(fit.parameters["step"], expected["tau"], atol=ESTIMATE)
    sd = float(fit.parameters["population_sd"])
    assert sd == pytest.approx(expected["sd"], abs=ESTIMATE)
    assert float(fit.standard_errors["population_sd"]) / sd == pytest.approx(expected["se_log_sd"], abs=ERROR)


@pytest.mark.shared_data
def test_interaction_model_against_tam(oracles):
    """TAM's item × rater fit of data.ex10 stops within 1e-3 of the maximum (oracles/FITS.md, trap 3)."""
    fit = ps.fit(ps.ManyFacetRasch(interactions=(("judge", "item"),)), ratings(oracles / "fits" / "TAM/ex10_long.csv"))
    expected = json.loads((oracles / "fits" / "TAM/ex10_mfr_itemXrater.json").read_text())
    assert fit.log_likelihood == pytest.approx(-1761.446321, abs=1e-3)
    assert expected["loglik"] == pytest.approx(fit.log_likelihood, abs=1e-3)
    terms = fit.parameters["judge:item"]
    np.testing.assert_allclose(terms.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(terms.sum(axis=1), 0, atol=1e-9)
