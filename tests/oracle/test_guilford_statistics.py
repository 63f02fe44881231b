"""Fit and facet statistics of Guilford's creativity ratings, and FACETS' published Table 7.

Source: ../shared/oracles/README.md, I9 and I10 (the FACETS manual's Guilford.txt; FACETS' own printed numbers are not
available, the targets are independent code on the same data). Conversions: the oracle centres examinees and leaves
judges free, which moves measures by one constant per facet and touches no residual, no SE with everything else known,
and no spread.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.diagnostics.residuals import unexpected_responses
from psymetric.diagnostics.separation import fixed_chi_square, random_chi_square, separation

TRAITS = ("Attack", "Basis", "Clarity", "Daring", "Enthusiasm")
RATINGS = """
1,1,5,5,3,5,3 1,2,9,7,5,8,5 1,3,3,3,3,7,1 1,4,7,3,1,3,3 1,5,9,7,7,8,5 1,6,3,5,3,5,1 1,7,7,7,5,5,5
2,1,6,5,4,6,3 2,2,8,7,5,7,2 2,3,4,5,3,6,6 2,4,5,6,4,5,5 2,5,2,4,3,2,3 2,6,4,4,6,4,2 2,7,3,3,5,5,4
3,1,5,5,5,7,3 3,2,7,7,5,7,5 3,3,3,5,5,5,5 3,4,5,3,3,3,1 3,5,9,7,7,7,7 3,6,3,3,3,5,3 3,7,7,7,7,5,7
"""
ORACLE = "README, I9 Guilford"
THREE, TWO = 6e-4, 6e-3  # printed decimals


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


@pytest.fixture(scope="module")
def statistics(joint, table) -> pd.DataFrame:
    return ps.fit_statistics(joint, table).set_index("facet")


def test_judge_mean_squares(statistics, held):
    judges = statistics.loc["judge"]
    held(ORACLE, "infit of judges", judges["infit"], [0.849, 1.475, 0.672], atol=THREE)
    held(ORACLE, "outfit of judges", judges["outfit"], [0.880, 1.524, 0.666], atol=THREE)
    held(ORACLE, "infit z of judges", judges["infit_z"], [-0.63, 1.90, -1.57], atol=TWO)


def test_conditional_standard_errors(statistics, held):
    """The oracle's SEs are FACETS' 1/√ΣV; ours with everything unknown (`Fit.estimates`) are another thing."""
    held(ORACLE, "model SE of judges", statistics.loc["judge", "model_se"], [0.117, 0.118, 0.116], atol=THREE)
    expected = [0.174, 0.182, 0.177, 0.183, 0.176, 0.187, 0.174]
    held(ORACLE, "model SE of examinees", statistics.loc["subject", "model_se"], expected, atol=THREE)


def test_unexpected_responses(joint, table):
    found = unexpected_responses(joint, table, threshold=2)
    traits = found["item"].map({trait: place for place, trait in enumerate(TRAITS, start=1)})
    listed = set(zip(found["judge"], found["subject"], traits, strict=True))
    assert listed == {(2, 3, 5), (2, 4, 5), (2, 5, 1), (2, 5, 4), (2, 6, 3)}
    assert found["z"].abs().is_monotonic_decreasing


@pytest.mark.parametrize(
    ("facet", "ratio", "strata", "reliability", "fixed", "df"),
    [
        ("judge", 0.66, 1.22, 0.31, 4.30, 2),
        ("subject", 2.25, 3.34, 0.84, 41.31, 6),
        ("item", 1.85, 2.80, 0.77, 21.41, 4),
    ],
)
def test_facet_summaries_as_facets_prints_them(joint, table, facet, ratio, strata, reliability, fixed, df, held):
    found = ps.facet_summary(joint, facet, table, errors="model")
    spread = found.population
    held(
        ORACLE,
        f"separation, strata, reliability, fixed χ² of {facet}",
        [spread.separation, spread.strata, spread.reliability, found.fixed.statistic],
        [ratio, strata, reliability, fixed],
        atol=TWO,
    )
    assert found.fixed.df == df


def test_table_7_of_the_facets_manual(held):
    """12 readers: mean S.E. .08, S.D. .19 population, .20 sample. Two decimals leave G a range."""
    sd = 0.08 * np.sqrt(1 + 2.17**2)  # the one S.D. that gives the printed population separation
    assert round(sd, 2) == 0.19
    population, sample = separation(sd, 0.08), separation(sd * np.sqrt(12 / 11), 0.08)
    assert round(sample.sd, 2) == 0.20
    assert (round(population.true_sd, 2), round(sample.true_sd, 2)) == (0.17, 0.18)
    found = [population.strata, sample.separation, sample.strata]
    held("README, I10 Facets Table 7", "strata and separation", found, [3.22, 2.28, 3.38], atol=2 * TWO)
    assert (round(population.reliability, 2), round(sample.reliability, 2)) == (0.82, 0.84)


def test_chi_squares_of_table_7_have_its_size():
    """12 measures with the printed S.D. and equal errors: 66.3 (df 11) and 9.4 (df 10) there, whose errors differ."""
    measures = np.linspace(-1, 1, 12)
    measures *= 0.1911 / measures.std()
    fixed, random = (test(measures, np.full(12, 0.08)) for test in (fixed_chi_square, random_chi_square))
    assert fixed.statistic == pytest.approx(12 * 0.1911**2 / 0.08**2)
    assert fixed.df == 11
    # True variance plus error variance is the sample variance again, so that the statistic is L - 1.
    assert random.statistic == pytest.approx(11)
    assert random.df == 10
