"""The page on what was sampled: chains with their figure and table, approximations in words, maxima not at all."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import psymetric as ps
from psymetric.estimation.fit import FitStatus

CHAINS, DRAWS = 4, 250


@pytest.fixture(scope="module")
def sampled(simulated) -> ps.Fit:
    """Draws around the estimates, as a sampler would leave them."""
    rng, fit = np.random.default_rng(2), simulated.fit
    draws = {
        name: np.asarray(value)
        + np.nan_to_num(fit.standard_errors[name]) * rng.standard_normal((CHAINS, DRAWS, *np.shape(value)))
        for name, value in fit.parameters.items()
    }
    details = {"r_hat": 1.004, "ess_bulk": 812.0, "ess_tail": 640.0, "divergences": 0.0, "mean_steps": 7.0}
    status = FitStatus(True, "as asked", CHAINS * DRAWS, details)
    return dataclasses.replace(fit, engine="NUTS", draws=draws, status=status, log_likelihood=None)


def section(page: str) -> str:
    found = re.search(r'<section[^>]*id="sampling".*?</section>', page, re.DOTALL)
    return "" if found is None else found[0]


def with_details(fit: ps.Fit, **details: float) -> ps.Fit:
    return dataclasses.replace(fit, status=dataclasses.replace(fit.status, details=fit.status.details | details))


def test_chains_are_shown_and_judged(sampled: ps.Fit, simulated) -> None:
    report = ps.report(sampled, simulated.table)
    text = section(report.html)
    assert "4 chains of 250 draws agree: R-hat is at most 1.004" in text
    assert "at least 812 independent ones for the middle of every distribution and 640 for its tails" in text
    assert "No transition diverged." in text
    assert text.count("<svg") == 2
    assert "criterion: " in text
    rows = report.record["tables"]["sampling"]
    expected = ps.sampling_diagnostics(sampled)
    assert [row["r_hat"] for row in rows] == pytest.approx(expected["r_hat"].tolist())


def test_what_is_wrong_is_said(sampled: ps.Fit, simulated) -> None:
    bad = with_details(sampled, r_hat=1.2, ess_bulk=30.0, divergences=3.0)
    text = section(ps.report(bad, simulated.table).html)
    assert "do not agree yet: R-hat is at most 1.200" in text
    assert "400 are wanted: run more" in text
    assert "3 transitions of 1,000 diverged" in text


def test_approximations_have_words_and_no_figure(sampled: ps.Fit, simulated) -> None:
    for k_hat, words in ((0.3, "and they were applied"), (0.9, "could not be corrected")):
        status = FitStatus(True, "approximate", 100, {"elbo": -1.0, "pareto_k": k_hat, "ess_importance": 700.0})
        draws = {name: value[:1] for name, value in (sampled.draws or {}).items()}
        text = section(ps.report(dataclasses.replace(sampled, draws=draws, status=status), simulated.table).html)
        assert words in text
        assert "<svg" not in text


def test_maxima_have_no_such_section(report_of_simulated: ps.Report) -> None:
    assert section(report_of_simulated.html) == ""
