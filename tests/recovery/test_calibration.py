"""Simulation-based calibration of NUTS: true values are as likely to have any rank among their posterior draws."""

from __future__ import annotations

from collections.abc import Iterator

import calibration_study
import numpy as np
import pytest
from calibration_study import N_RANKS, SIGNIFICANCE, Ranks, chi_square, distribution_function

import psymetric as ps
from psymetric.estimation import grids

METHOD = f"""Parameters are drawn from their priors and {calibration_study.N_SUBJECTS} subjects from the population so
drawn; {calibration_study.N_JUDGES} judges rate each on {calibration_study.N_ITEMS} items with
{calibration_study.N_CATEGORIES} categories; the many-facet Rasch model is fitted by NUTS with the same priors. If
priors, likelihood and sampler agree, the rank of the true value among {N_RANKS - 1} posterior draws is uniform (Talts
et al., 2018), for priors as wide as they are and tables as small. The first level stands for its facet. Tables that
leave a category unused are drawn again, which leaves the posterior as it is.

*χ² p*: equal counts in {calibration_study.BINS} bins. *ECDF band p*: the ranks' distribution function against a band
that holds at all ranks at once (Säilynoja et al., 2022). Uniform ranks give any p with equal chance; the check is that
none is under {SIGNIFICANCE}."""
MODELS = {
    "fixed facets": ps.ManyFacetRasch(prior_sd=1.0, random=()),
    "random judges": ps.ManyFacetRasch(prior_sd=1.0, random=("judge",)),
}
# Ten to twenty draws per draw ranked, so that those ranked are as good as independent.
ENGINE = ps.NUTS(warmup=200, draws=500, chains=2)
LONGER = ps.NUTS(warmup=200, draws=1_000, chains=2)
N_NODES = 241


def worst(ranks: dict[str, list[int]]) -> dict[str, float]:
    return {name: min(chi_square(found), distribution_function(found)) for name, found in ranks.items()}


@pytest.fixture(scope="module", autouse=True)
def one_grid() -> Iterator[None]:
    """The finest grid that tables of this size need, for all of them, so that the sampler is compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "_GRIDS", (N_NODES,))
        yield


@pytest.fixture(scope="module")
def few() -> Ranks:
    return calibration_study.replicate(MODELS["fixed facets"], ENGINE, range(50))


@pytest.mark.slow
def test_nuts_is_calibrated(few):
    """A small version of the study below."""
    assert {name: p for name, p in worst(few.honest).items() if p < SIGNIFICANCE} == {}


@pytest.mark.slow
def test_an_overconfident_sampler_is_noticed(few):
    """The check can fail: draws a third closer to their mean put the truth outside them too often."""
    pooled = [rank for name in ("item", "judge", "step", "ability") for rank in few.narrow[name]]
    assert chi_square(pooled) < SIGNIFICANCE


def test_uniform_ranks_pass_and_others_do_not():
    """The band's p is uniform under uniform ranks, and tiny where ranks lean to one side."""
    rng = np.random.default_rng(1)
    found = [distribution_function(list(rng.integers(0, N_RANKS, 100))) for _ in range(200)]
    # A rate of 1 in 10 over 200 studies has a standard error of .021.
    assert abs(np.mean(np.array(found) < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 200)
    assert distribution_function(list((N_RANKS * rng.beta(1.4, 1, 400)).astype(int))) < SIGNIFICANCE


@pytest.mark.slow
def test_calibration(record_validation):
    rows, low = [], {}
    for label, model in MODELS.items():
        ranks = calibration_study.replicate(model, LONGER, range(1_000, 1_200)).honest
        rows += [calibration_study.row(label, name, found) for name, found in ranks.items()]
        low |= {(label, name): p for name, p in worst(ranks).items() if p < SIGNIFICANCE}
    record_validation("Calibration of NUTS", METHOD, rows)
    assert low == {}
