"""Measures by raw score against R: psychotools 0.7-2 (maximum likelihood) and TAM 4.4-2 (weighted likelihood).

Both programs' own difficulties are put into the fit, so that only the step from score to measure is compared. Both give
difficulties (a positive one is hard) in logits, psychotools' with sum zero, so that nothing needs conversion.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

pytestmark = pytest.mark.shared_data

BY_SCORE = 1e-5  # psychotools maximises the joint likelihood of persons to about this
WEIGHTED = 1e-4  # TAM stops its Newton steps at 1e-4


@pytest.fixture(scope="module")
def answers(oracles):
    wide = pd.read_csv(oracles / "fits/TAM/raschdat1.csv")
    wide = wide[[name for name in wide if name.startswith("I")]]
    long = wide.reset_index().melt(id_vars="index", var_name="item", value_name="x")
    table = ps.ResponseTable.from_frame(long, response="x", subject="index", item="item")
    return ps.fit(ps.Rasch(), table)


def with_difficulties(fit, difficulty):
    values = np.array([difficulty[item] for item in fit.levels["item"]])
    return replace(fit, parameters={**fit.parameters, "item": values})


def test_maximum_likelihood_by_score_is_that_of_psychotools(answers, oracles, held):
    record = json.loads((oracles / "fits/psychotools/raschdat1_raschmodel.json").read_text())
    fit = with_difficulties(answers, record["itempar_sumzero"]["estimate"])
    found = ps.score_table(fit).frame.set_index("score")
    reference = {int(score): value for score, value in record["personpar_by_score"]["estimate"].items()}
    measures = found.loc[list(reference), "ml"]
    held("psychotools/raschdat1_raschmodel", "ML by sum", measures, list(reference.values()), atol=BY_SCORE)


def test_weighted_likelihood_by_score_is_that_of_tam(answers, oracles, held):
    record = json.loads((oracles / "fits/TAM/raschdat1_1PL.json").read_text())
    xsi = record["xsi"]
    fit = with_difficulties(answers, dict(zip(xsi[".row"], xsi["xsi"], strict=True)))
    found = ps.score_table(fit).frame.set_index("score")
    at = found.loc[record["WLE_person_score"]]
    held("TAM/raschdat1_1PL", "WLE by sum", at["wle"], record["WLE"], atol=WEIGHTED)
    held("TAM/raschdat1_1PL", "SE of WLE", at["wle_se"], record["WLE_se"], atol=WEIGHTED)
