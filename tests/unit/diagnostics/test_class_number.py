"""Mixtures of one class after another, side by side."""

from __future__ import annotations

import mixed_judges
import numpy as np
import pytest

import psymetric as ps
from psymetric.errors import DataError


@pytest.fixture(scope="module")
def table() -> ps.PairTable:
    return mixed_judges.as_table(mixed_judges.draw(40, 50, seed=1)[0])


@pytest.mark.thorough
def test_criteria_choose_the_true_number(table) -> None:
    found = ps.compare_classes(mixed_judges.MODEL, table, classes=(1, 2, 41))
    frame = found.frame.set_index("classes")
    plain = ps.fit(mixed_judges.WITHIN, table)
    assert frame.loc[1, "log_likelihood"] == pytest.approx(plain.log_likelihood, abs=1e-9)
    assert frame["n_parameters"].tolist()[:2] == [7, 15]
    for n in (1, 2):
        fit = found.fits[n]
        assert frame.loc[n, "aic"] == pytest.approx(2 * fit.n_parameters - 2 * fit.log_likelihood)
        assert frame.loc[n, "bic"] == pytest.approx(fit.n_parameters * np.log(40) - 2 * fit.log_likelihood)
    assert frame["bic"].idxmin() == 2
    assert frame.loc[2, "smallest_share"] == found.fits[2].parameters["share"].min()
    assert frame.loc[2, "entropy"] == ps.class_membership(found.fits[2], table).entropy
    assert frame.loc[2, "starts_at_best"] == found.fits[2].status.details["starts_at_best"] / 20
    assert np.isnan(frame.loc[1, ["entropy", "starts_at_best"]].astype(float)).all()
    # What failed is a row with its reason.
    assert "'judge' has 40 level(s) with comparisons" in frame.loc[41, "note"]
    assert np.isnan(frame.loc[41, "bic"])
    assert list(found.fits) == [1, 2]
    assert "no chi-square variables" in found.notes[0]


@pytest.mark.thorough
def test_under_a_prior_bic_is_at_the_mode(table) -> None:
    found = ps.compare_classes(mixed_judges.MODEL, table, classes=(2,), engine=ps.MAP())
    row = found.frame.iloc[0]
    assert np.isnan(row["aic"])
    assert row["bic"] == pytest.approx(15 * np.log(40) - 2 * found.fits[2].log_likelihood)
    assert "bic is taken at the posterior mode" in found.notes[1]


def test_questions_that_have_no_answer(table) -> None:
    with pytest.raises(DataError, match="the model is a BradleyTerry; pass a JudgeMixture"):
        ps.compare_classes(mixed_judges.WITHIN, table)
    with pytest.raises(DataError, match="classes is empty"):
        ps.compare_classes(mixed_judges.MODEL, table, classes=())
    with pytest.raises(DataError, match=r"no fit succeeded; with 50 class\(es\): JudgeMixture\(classes=50\)"):
        ps.compare_classes(mixed_judges.MODEL, table, classes=(50,))
    with pytest.raises(DataError, match="Laplace gives draws and no mode: use JointML"):
        ps.compare_classes(mixed_judges.MODEL, table, classes=(2,), engine=ps.Laplace(draws=10))
