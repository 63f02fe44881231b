"""Scores and fit statistics against R: mirt 1.45.1 (partial credit) and TAM 4.4-2 (many-facet).

Conversions: mirt and TAM fix the population mean at zero, here items and judges sum to zero and the mean is free, so
that their measures are ours minus `population_mean`. mirt's WLE standard error is the curvature of the weighted
likelihood; ours, as TAM's, is 1/√I. TAM's `msq.itemfit` averages residuals over the subjects' posteriors as we do.
"""

from __future__ import annotations

import json

import pandas as pd
import pytest

import psymetric as ps

# Both sides stop within about 1e-5 of the maximum; where measures run off to ±4 the difference grows tenfold.
CLOSE = 2e-4
SCIENCE, EX10 = "mirt/Science_Rasch", "TAM/ex10_mfr_item_rater"

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def science(oracles):
    wide = pd.read_csv(oracles / "fits/mirt/Science.csv")
    long = wide.reset_index().melt(id_vars="index", var_name="item", value_name="answer")
    table = ps.ResponseTable.from_frame(long, response="answer", subject="index", item="item")
    record = json.loads((oracles / "fits/mirt/Science_Rasch.json").read_text())
    patterns = [" ".join(map(str, row)) for row in wide.to_numpy()]
    reference = pd.DataFrame(record["factor_scores_by_pattern"]).set_index("pattern").loc[patterns]
    return ps.fit(ps.ManyFacetRasch(facets=("item",), steps="item"), table), table, reference


@pytest.mark.parametrize("method", ["eap", "map", "ml", "wle"])
def test_partial_credit_scores_are_those_of_mirt(science, method, held):
    fit, table, reference = science
    scores = ps.score(fit, table, method=method).frame
    finite = reference[method.upper()].notna().to_numpy()
    assert (finite == ~scores["extreme"]).all() or method != "ml"
    measures = scores["estimate"] - float(fit.parameters["population_mean"])
    held(SCIENCE, f"{method} of subjects", measures[finite], reference[method.upper()][finite], atol=CLOSE)
    if method != "wle":
        held(SCIENCE, f"SE of {method}", scores["se"][finite], reference[f"SE_{method.upper()}"][finite], atol=CLOSE)


@pytest.fixture(scope="module")
def ratings(oracles):
    long = pd.read_csv(oracles / "fits/TAM/ex10_long.csv")
    table = ps.ResponseTable.from_frame(long, response="score", subject="pid", item="item", facets=("rater",))
    record = json.loads((oracles / "fits/TAM/ex10_mfr_item_rater.json").read_text())
    return ps.fit(ps.ManyFacetRasch(facets=("item", "rater")), table), table, record


@pytest.mark.parametrize(("method", "estimate", "se"), [("eap", "EAP", "SD_EAP"), ("wle", "WLE", "WLE_se")])
def test_many_facet_scores_are_those_of_tam(ratings, method, estimate, se, held):
    fit, table, record = ratings
    scores = ps.score(fit, table, method=method).frame.set_index("subject").loc[record["person_id"]]
    measures = scores["estimate"] - float(fit.parameters["population_mean"])
    held(EX10, f"{method} of subjects", measures, record[estimate], atol=CLOSE)
    held(EX10, f"SE of {method}", scores["se"], record[se], atol=CLOSE)


@pytest.mark.parametrize("facet", ["item", "rater"])
def test_mean_squares_over_the_posterior_are_those_of_tam(ratings, facet, held):
    fit, table, record = ratings
    found = ps.fit_statistics(fit, table, facets=(facet,))
    for ours, theirs in (("infit", "Infit"), ("infit_z", "Infit_t"), ("outfit", "Outfit"), ("outfit_z", "Outfit_t")):
        held(EX10, f"{ours} of {facet}", found[ours], record["facet_fit"][facet][theirs], atol=CLOSE)
