"""Leave-one-subject-out and WAIC against naive integration, ArviZ's own sums, and a refit."""

from __future__ import annotations

import numpy as np
import pytest
from rated_world import log_likelihood_of, rated_table
from scipy.special import logsumexp
from scipy.stats import norm

import psymetric as ps
from psymetric.diagnostics.information import subject_log_likelihoods
from psymetric.errors import DataError
from psymetric.estimation.arviz_adapter import load_arviz

DRAWS = 300
ROUNDING = 1e-6
"""The grid's error, in nats, of one subject's log-likelihood."""


@pytest.fixture(scope="module")
def found(drawn, table) -> ps.InformationCriteria:
    return ps.information_criteria(drawn, table)


def naive_log_likelihood(fit: ps.Fit, table: ps.ResponseTable, subject: str, draw: int) -> float:
    """One subject at one draw: the model by its definition, ability integrated by the trapezoidal rule."""
    at = {name: value[0, draw] for name, value in fit.draws.items()}
    place = {facet: {label: code for code, label in enumerate(fit.levels[facet])} for facet in ("item", "judge")}
    rows = [
        (at["item"][place["item"][row.item]] + at["judge"][place["judge"][row.judge]], row.weight, row.response - 1)
        for row in table.to_frame().query("subject == @subject").itertuples()
    ]
    grid = at["population_mean"] + at["population_sd"] * np.linspace(-9, 9, 401)
    log_density = [log_likelihood_of(rows, at["step"].ravel(), theta) for theta in grid]
    weight = norm.logpdf(grid, at["population_mean"], at["population_sd"])
    return float(logsumexp(log_density + weight) + np.log(grid[1] - grid[0]))


def test_subjects_are_integrated_out(drawn, table):
    values = subject_log_likelihoods(drawn, table, draws=DRAWS)
    assert values.shape == (DRAWS, len(table.levels["subject"]))
    for subject, draw in (("s0", 0), ("s7", 41), ("top", 299), ("bottom", 120)):
        code = table.levels["subject"].index(subject)
        assert values[draw, code] == pytest.approx(naive_log_likelihood(drawn, table, subject, draw), abs=ROUNDING)


def test_sums_are_arviz_own(found, drawn, table):
    arviz = load_arviz()
    if "waic" not in vars(arviz):
        pytest.skip("ArviZ 1 has no waic")
    values = subject_log_likelihoods(drawn, table, draws=DRAWS)[None]
    data = arviz.from_dict(posterior={"x": values[:, :, 0]}, log_likelihood={"y": values})
    loo = arviz.loo(data, reff=1.0)
    with pytest.warns(UserWarning, match=r"exceeds 0\.4"):
        waic = arviz.waic(data)
    line = found.frame.set_index("criterion")
    # ArviZ takes the variance over subjects, too, with divisor n.
    n = values.shape[2]
    expected = [loo.elpd_loo, loo.se * np.sqrt(n / (n - 1)), loo.p_loo]
    assert line.loc["loo", ["elpd", "se", "p"]].tolist() == pytest.approx(expected)
    # ArviZ takes the variance over draws with divisor n.
    scale = DRAWS / (DRAWS - 1)
    assert line.loc["waic", "p"] == pytest.approx(waic.p_waic * scale)
    assert line.loc["waic", "elpd"] == pytest.approx(waic.elpd_waic - waic.p_waic * (scale - 1))
    assert line.loc["loo", "ic"] == pytest.approx(-2 * loo.elpd_loo)


def test_a_subject_left_out_by_refitting(found, frame):
    """The definition: fit without the subject, then its log density averaged over those draws."""
    pointwise = found.pointwise.set_index("subject")
    subject = "top"
    rest = rated_table(frame.query("text != @subject"))
    draws = ps.fit(ps.ManyFacetRasch(), rest, engine=ps.Laplace(draws=400, seed=5))
    alone = rated_table(frame.query("text == @subject"))
    terms = np.array([naive_log_likelihood(draws, alone, subject, draw) for draw in range(0, 400, 4)])
    expected = logsumexp(terms) - np.log(len(terms))
    # Delta method for the log of a mean of densities; the weighted mean has an error of the same order.
    share = np.exp(terms - terms.max())
    error = share.std(ddof=1) / share.mean() * np.sqrt(1 / len(terms) + 1 / DRAWS)
    assert abs(pointwise.loc[subject, "elpd_loo"] - expected) < 4 * error


def test_frame(found, table):
    assert list(found.frame["criterion"]) == ["loo", "waic"]
    assert list(found.frame.columns) == ["criterion", "elpd", "se", "p", "ic", "subjects", "unreliable"]
    assert (found.frame["subjects"] == len(table.levels["subject"])).all()
    assert found.pointwise["elpd_loo"].sum() == pytest.approx(found.frame["elpd"][0])
    assert (found.pointwise["pareto_k"] < 0.7).all()
    n = int((found.pointwise["p_waic"] > 0.4).sum())
    assert n > 0
    assert list(found.frame["unreliable"]) == [0, n]
    assert found.notes == (f"waic: the variance term exceeds 0.4 for {n} subjects: prefer loo",)
    assert abs(found.frame["elpd"][0] - found.frame["elpd"][1]) < 0.5


def test_effective_parameters_are_those_that_are_estimated(found, drawn):
    """Eight free parameters, weak priors and a true model: p is near eight (Vehtari et al., 2017, sec. 2)."""
    assert drawn.n_parameters == 8
    assert found.frame["p"].between(4, 12).all()


def test_the_better_model_foresees_better(frame):
    """Judges differ by a logit: leaving them out costs more than two standard errors of the difference."""
    table = rated_table(frame)
    full, bare = (
        ps.information_criteria(ps.fit(model, table, engine=ps.Laplace(draws=DRAWS)), table).pointwise["elpd_loo"]
        for model in (ps.ManyFacetRasch(), ps.ManyFacetRasch(facets=("item",)))
    )
    gain = full - bare
    assert gain.sum() > 2 * np.sqrt(len(gain)) * gain.std()


def test_refusals(marginal, drawn, joint, table, frame):
    with pytest.raises(
        DataError, match=r"MarginalML has no posterior draws: fit with NUTS\(\), SVI\(\) or Laplace\(\)"
    ):
        ps.information_criteria(marginal, table)
    with pytest.raises(DataError, match="draws=3 must be at least 10"):
        ps.information_criteria(drawn, table, draws=3)
    with pytest.raises(DataError, match="the table is not the one that was fitted"):
        ps.information_criteria(drawn, rated_table(frame.iloc[3:]))
    with pytest.raises(DataError, match="JointML has no population"):
        ps.information_criteria(joint, table)
