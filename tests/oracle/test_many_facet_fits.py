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
    return ps.fit(ps.ManyFacetRasch(steps=steps), ratings(oracles / "fits" / csv)), expected, request.param


@pytest.mark.shared_data
def test_log_likelihood(fitted, held):
    fit, expected, name = fitted
    held(name, "log-likelihood", fit.log_likelihood, expected["loglik"], atol=LOGLIK)


@pytest.mark.shared_data
def test_items(fitted, held):
    fit, expected, name = fitted
    items = fit.estimates("item").set_index("level")["estimate"] - float(fit.parameters["population_mean"])
    wanted = {
        key.removeprefix("I") if key.removeprefix("I") in items.index else key: v for key, v in expected["item"].items()
    }
    held(name, "items", [items[key] for key in wanted], list(wanted.values()), atol=ESTIMATE)


@pytest.mark.shared_data
def test_judges_and_their_standard_errors(fitted, held):
    fit, expected, name = fitted
    judges = fit.estimates("judge").set_index(fit.estimates("judge")["level"].astype(str))
    names = list(expected["rater"])
    held(name, "judges", judges.loc[names, "estimate"], [expected["rater"][n] for n in names], atol=ESTIMATE)
    held(name, "SE of judges", judges.loc[names, "se"], [expected["se_rater"][n] for n in names], atol=ERROR)


@pytest.mark.shared_data
def test_steps_and_population(fitted, held):
    fit, expected, name = fitted
    held(name, "steps", fit.parameters["step"], expected["tau"], atol=ESTIMATE)
    sd = float(fit.parameters["population_sd"])
    held(name, "sd of subjects", sd, expected["sd"], atol=ESTIMATE)
    held(name, "SE of its log", fit.standard_errors["population_sd"] / sd, expected["se_log_sd"], atol=ERROR)


@pytest.mark.shared_data
def test_interaction_model_against_tam(oracles, held):
    """TAM's item × rater fit of data.ex10 stops within 1e-3 of the maximum (oracles/FITS.md, trap 3)."""
    fit = ps.fit(ps.ManyFacetRasch(interactions=(("judge", "item"),)), ratings(oracles / "fits" / "TAM/ex10_long.csv"))
    expected = json.loads((oracles / "fits" / "TAM/ex10_mfr_itemXrater.json").read_text())
    held("TAM/ex10_mfr_itemXrater", "log-likelihood", fit.log_likelihood, expected["loglik"], atol=1e-3)
    terms = fit.parameters["judge:item"]
    np.testing.assert_allclose(terms.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(terms.sum(axis=1), 0, atol=1e-9)


TAM_FITS = {
    # TAM stops at 2000 iterations, its log-likelihood then right to 2e-5 (oracles/FITS.md, trap 3).
    "TAM/ratings1_mfr_RSM": ("TAM/ratings1_long.csv", {}),
    "TAM/ratings1_mfr_PCMitem": ("TAM/ratings1_long.csv", {"steps": "item"}),
    "TAM/ratings1_mfr_raterstep": ("TAM/ratings1_long.csv", {"steps": "judge"}),
    "TAM/simmfr_mfr_RSM": ("TAM/simmfr_long.csv", {}),
    "TAM/simmfr_mfr_PCMitem": ("TAM/simmfr_long.csv", {"steps": "item"}),
    "TAM/simmfr_mfr_raterstep": ("TAM/simmfr_long.csv", {"steps": "judge"}),
    "TAM/simmfr_mfr_itemXrater": ("TAM/simmfr_long.csv", {"steps": "item", "interactions": (("judge", "item"),)}),
    "TAM/sim_mfr_mfr_rater": ("TAM/sim_mfr_long.csv", {"steps": "item"}),
    # A second implementation, on a coarser grid.
    "TAM/ratings1_sirt_rmfacets_b": ("TAM/ratings1_long.csv", {"steps": "item"}),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", TAM_FITS)
def test_tam_and_sirt(oracles, name, held):
    csv, settings = TAM_FITS[name]
    record = json.loads((oracles / "fits" / f"{name}.json").read_text())
    fit = ps.fit(ps.ManyFacetRasch(**settings), ratings(oracles / "fits" / csv))
    held(name, "log-likelihood", fit.log_likelihood, record["loglik"], atol=1e-4 if "sirt" in name else 2e-5)
    if "npar" in record:
        assert fit.n_parameters == record["npar"]
    elif "rater" in record:
        expected = dict(zip(record["rater"]["rater"], record["rater"]["b"], strict=True))
        ours = fit.estimates("judge").set_index("level")["estimate"]
        held(name, "judges", ours.loc[list(expected)], list(expected.values()), atol=1e-3)


@pytest.mark.shared_data
def test_four_facets(oracles, held):
    """Topics and sexes as further facets."""
    name = "TAM/sim_mfr_mfr_three"
    frame = pd.read_csv(oracles / "fits" / "TAM/sim_mfr_long.csv").astype({"item": str})
    facets = ("rater", "topic", "female")
    table = ps.ResponseTable.from_frame(frame, response="score", subject="pid", item="item", facets=facets)
    record = json.loads((oracles / "fits" / f"{name}.json").read_text())
    fit = ps.fit(ps.ManyFacetRasch(facets=("item", *facets)), table)
    held(name, "log-likelihood", fit.log_likelihood, record["loglik"], atol=1e-6)
    xsi = dict(zip(record["xsi_facets"]["parameter"], record["xsi_facets"]["xsi"], strict=True))
    for facet in facets:
        ours = fit.estimates(facet).set_index("level")["estimate"]
        held(name, f"{facet}s", ours, [xsi[f"{facet}{level}"] for level in ours.index], atol=1e-4)
