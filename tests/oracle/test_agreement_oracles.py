"""Agreement and reliability against published worked examples and other programs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

import psymetric as ps
from psymetric.diagnostics.chance_corrected import agreement_weights, fleiss, gwet
from psymetric.diagnostics.judge_pairs import kappa, pair_cells
from psymetric.diagnostics.omega import saturation
from psymetric.diagnostics.ratings import grouped_ratings
from psymetric.diagnostics.reliability import _coefficients, _feldt  # pyright: ignore[reportPrivateUsage]

PRINTED_2, PRINTED_3 = 0.005 + 1e-9, 0.0005 + 1e-9
EXACT = 1e-7  # programs printed to eight digits

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: 4 observers, 12 units, 0 for a missing value.
KRIPPENDORFF = ["1101", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "0555", "0011", "0030"]
# Shrout & Fleiss (1979), table 2: 6 targets, 4 judges.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# Fleiss' kappa's usual example: 10 subjects, 14 raters, 5 categories; kappa .210.
COUNTS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ],
    np.float64,
)  # fmt: skip
# Fleiss, Levin & Paik (2003), table 18.1: 100 subjects, two raters.
FLEISS_LEVIN_PAIK = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
# Nine variables of Thurstone (McDonald, 1985), as in the psych package; lower triangle by rows.
THURSTONE = """.828
.776 .779
.439 .493 .460
.432 .464 .425 .674
.447 .489 .443 .590 .541
.447 .432 .401 .381 .402 .288
.541 .537 .534 .350 .367 .320 .555
.380 .358 .359 .424 .446 .325 .598 .452"""


def table_of(rows, *, categories=None):
    cells = [(f"u{u:02d}", f"j{j}", x) for u, row in enumerate(rows) for j, x in enumerate(map(int, row)) if x]
    frame = pd.DataFrame(cells, columns=["unit", "judge", "x"])
    return ps.ResponseTable.from_frame(frame, response="x", subject="unit", facets="judge", categories=categories)


def by_name(table, **options):
    return ps.judge_agreement(table, **options).frame.set_index("coefficient")


def test_krippendorffs_own_example(held):
    found = by_name(table_of(KRIPPENDORFF), draws=50)
    for metric, printed in (("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)):
        assert found.loc[f"Krippendorff alpha {metric}", "value"] == pytest.approx(printed, abs=PRINTED_3)
    # The repository's own table of exact values, and the package `krippendorff` 0.9.0 on the same data.
    nominal = found.loc["Krippendorff alpha nominal", "value"]
    held("README, O10 Krippendorff", "alpha, nominal", nominal, 0.7434210526, atol=1e-10)
    assert found.loc["Krippendorff alpha ordinal", "value"] == pytest.approx(0.8153875037548814, abs=1e-12)
    assert found.loc["Krippendorff alpha interval", "value"] == pytest.approx(0.8491071428571428, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "se"),
    [
        # irrCAC 0.4.4 (Gwet), raw ratings, weights identity, linear, quadratic; se with n − 1 = 11 df.
        ("Fleiss kappa", 0.76116928, 0.15301920),
        ("Gwet AC1", 0.77544407, 0.14294995),
        ("Gwet AC2 linear", 0.85873914, 0.11732902),
        ("Gwet AC2 quadratic", 0.91400072, 0.10396224),
    ],
)
def test_gwets_coefficients_with_missing_ratings(name, value, se):
    found = by_name(table_of(KRIPPENDORFF), draws=1).loc[name]
    assert found["value"] == pytest.approx(value, abs=EXACT)
    assert found["lower"] == pytest.approx(value - 2.2009851600829 * se, abs=EXACT)
    assert found["upper"] == 1
    assert found["n_units"] == 12


def test_ac1_has_gwets_parts():
    # irrCAC's pa and pe for AC1: observed .81818182, chance .19032118.
    counts = table_of(KRIPPENDORFF)
    _, ratings = next(iter(grouped_ratings(counts, "judge", None, who="test")))
    value = gwet(ratings.counts, np.eye(5), 0.95).value
    assert value == pytest.approx((0.81818182 - 0.19032118) / (1 - 0.19032118), abs=EXACT)


def test_fleiss_kappa():
    assert fleiss(COUNTS, 0.95).value == pytest.approx(0.210, abs=PRINTED_3)
    assert fleiss(COUNTS, 0.95).value == pytest.approx(fleiss_kappa(COUNTS), abs=1e-12)


def test_shrout_and_fleiss():
    found = by_name(table_of(SHROUT_FLEISS), draws=1)
    printed = {
        "ICC(1)": 0.17, "ICC(2,1)": 0.29, "ICC(3,1)": 0.71, "ICC(1,k)": 0.44, "ICC(2,k)": 0.62, "ICC(3,k)": 0.91,
    }  # fmt: skip
    for name, value in printed.items():
        assert found.loc[name, "value"] == pytest.approx(value, abs=PRINTED_2)
    # Intervals as pingouin 0.6.1 prints them (McGraw & Wong's names: A = absolute agreement, C = consistency).
    ends = {
        "ICC(1)": (-0.13, 0.72), "ICC(2,1)": (0.02, 0.76), "ICC(3,1)": (0.34, 0.95),
        "ICC(1,k)": (-0.88, 0.91), "ICC(2,k)": (0.07, 0.93), "ICC(3,k)": (0.68, 0.99),
    }  # fmt: skip
    for name, (lower, upper) in ends.items():
        assert found.loc[name, "lower"] == pytest.approx(lower, abs=PRINTED_2)
        assert found.loc[name, "upper"] == pytest.approx(upper, abs=PRINTED_2)


def two_judges(counts):
    rows = [(i + 1, j + 1) for (i, j), n in np.ndenumerate(counts) for _ in range(n)]
    return next(iter(grouped_ratings(table_of(rows), "judge", None, who="test")))[1]


def test_cohens_kappa_of_fleiss_levin_paik():
    ratings = two_judges(FLEISS_LEVIN_PAIK)
    value, _ = kappa(pair_cells(ratings), agreement_weights(ratings.values, "exact"))
    assert value[0] == pytest.approx(0.68, abs=PRINTED_2)


@pytest.mark.parametrize(("scheme", "theirs"), [("exact", None), ("linear", "linear"), ("quadratic", "quadratic")])
def test_weighted_kappas_are_those_of_statsmodels(scheme, theirs):
    counts = np.array([[44, 5, 1, 0], [7, 20, 6, 2], [0, 4, 6, 3], [1, 0, 2, 9]])
    ratings = two_judges(counts)
    value, error = kappa(pair_cells(ratings), agreement_weights(ratings.values, scheme))
    # Its weights are distances (squared for "quadratic"), ours one minus distances over the range: the same kappa.
    other = cohens_kappa(counts, wt=theirs)
    assert value[0] == pytest.approx(other["kappa"], abs=1e-12)
    assert error[0] == pytest.approx(other["std_kappa"], abs=1e-12)


def thurstone():
    correlation = np.eye(9)
    for row, line in enumerate(THURSTONE.splitlines(), 1):
        correlation[row, :row] = correlation[:row, row] = [float(x) for x in line.split()]
    return correlation


def test_omegas_of_thurstones_variables():
    # psych::omega(Thurstone): alpha .89, lambda-6 .91, hierarchical .74, total .93; loadings on g as printed.
    (alpha, standardised, lambda_6, _, total, hierarchical), _ = _coefficients(thurstone(), 3)
    found = [alpha, standardised, lambda_6, hierarchical, total]
    np.testing.assert_allclose(found, [0.89, 0.89, 0.91, 0.74, 0.93], atol=PRINTED_2)
    general = saturation(thurstone(), 3).general
    printed = [0.71, 0.73, 0.68, 0.65, 0.62, 0.56, 0.59, 0.58, 0.54]
    np.testing.assert_allclose(general, printed, atol=PRINTED_2)


def test_feldts_interval():
    # pingouin 0.6.1 on its `cronbach_wide_missing` (12 subjects, 11 items): .732661 [.435, .909].
    found = _feldt(0.732660835, 12, 11, 0.95)
    assert found == pytest.approx((0.435, 0.909), abs=PRINTED_3)


def test_alpha_of_judges_is_icc_3_k():
    # Judges as items: alpha is ICC(3,k), and Feldt's interval is that of ICC(3,k).
    rows = [(f"u{u}", f"j{j}", x) for u, row in enumerate(SHROUT_FLEISS) for j, x in enumerate(row)]
    frame = pd.DataFrame(rows, columns=["unit", "judge", "x"])
    table = ps.ResponseTable.from_frame(frame, response="x", subject="unit", item="judge")
    found = ps.scale_reliability(table, draws=0).frame.set_index("coefficient").loc["alpha"]
    other = by_name(table_of(SHROUT_FLEISS), draws=1).loc["ICC(3,k)"]
    for name in ("value", "lower", "upper"):
        assert found[name] == pytest.approx(other[name], abs=1e-12)
