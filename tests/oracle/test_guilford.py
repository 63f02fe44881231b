"""Guilford's creativity ratings (FACETS example): 3 judges × 7 examinees × 5 traits, ratings 1 to 9.

Source: the FACETS manual's Guilford.txt; numbers derived from the same data by independent code (see
../shared/oracles, I9). Conversion: the oracle leaves judges non-centred and centres examinees; here judges are
centred and examinees free, so that the oracle's judges are ours minus their mean shift, and examinees likewise.
"""

from __future__ import annotations

import pandas as pd
import pytest

import psymetric as ps

TRAITS = ("Attack", "Basis", "Clarity", "Daring", "Enthusiasm")
RATINGS = """
1,1,5,5,3,5,3 1,2,9,7,5,8,5 1,3,3,3,3,7,1 1,4,7,3,1,3,3 1,5,9,7,7,8,5 1,6,3,5,3,5,1 1,7,7,7,5,5,5
2,1,6,5,4,6,3 2,2,8,7,5,7,2 2,3,4,5,3,6,6 2,4,5,6,4,5,5 2,5,2,4,3,2,3 2,6,4,4,6,4,2 2,7,3,3,5,5,4
3,1,5,5,5,7,3 3,2,7,7,5,7,5 3,3,3,5,5,5,5 3,4,5,3,3,3,1 3,5,9,7,7,7,7 3,6,3,3,3,5,3 3,7,7,7,7,5,7
"""
ORACLE = "README, I9 Guilford"
PRINTED = 6e-4  # three decimals


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    rows = [
        (judge, examinee, trait, rating)
        for judge, examinee, *ratings in (map(int, row.split(",")) for row in RATINGS.split())
        for trait, rating in zip(TRAITS, ratings, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["judge", "examinee", "trait", "rating"])
    return ps.ResponseTable.from_frame(frame, response="rating", subject="examinee", item="trait", facets=("judge",))


@pytest.fixture(scope="module")
def joint(table) -> ps.Fit:
    return ps.fit(ps.ManyFacetRasch(), table, engine=ps.JointML())


def test_joint_log_likelihood(joint, held):
    held(ORACLE, "JML log-likelihood", joint.log_likelihood, -165.684984, atol=1e-6)
    assert joint.n_responses == 105


def test_joint_judges(joint, held):
    judges = joint.estimates("judge")["estimate"]
    shift = joint.estimates("subject")["estimate"].mean()
    held(ORACLE, "JML judges", judges - shift, [0.040, 0.245, -0.096], atol=PRINTED)


def test_joint_examinees(joint, held):
    measures = joint.estimates("subject")["estimate"]
    expected = [-0.071, 0.664, -0.255, -0.482, 0.441, -0.584, 0.288]
    held(ORACLE, "JML examinees", measures - measures.mean(), expected, atol=PRINTED)


def test_joint_traits_and_steps(joint, held):
    traits = [-0.280, -0.147, 0.211, -0.302, 0.518]
    held(ORACLE, "JML traits", joint.estimates("item")["estimate"], traits, atol=PRINTED)
    steps = [-0.6905, -2.352, 0.8093, -1.4837, 1.7186, -0.9789, 2.3926, 0.5846]
    held(ORACLE, "JML steps", joint.parameters["step"][0], steps, atol=6e-5)


def test_marginal(table, held):
    fit = ps.fit(ps.ManyFacetRasch(), table)
    held(ORACLE, "MML log-likelihood", fit.log_likelihood, -175.428832, atol=1e-6)
    held(ORACLE, "MML judges", fit.estimates("judge")["estimate"], [-0.0218, 0.1697, -0.1480], atol=6e-5)
    held(ORACLE, "MML sd of examinees", fit.parameters["population_sd"], 0.3785, atol=6e-5)
