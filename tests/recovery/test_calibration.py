"""Simulation-based calibration of NUTS: true values are as likely to have any rank among their posterior draws."""

from __future__ import annotations

from collections.abc import Mapping

import calibration_study
import numpy as np
import pytest
from calibration_cases import DESIGNS
from calibration_study import N_RANKS, Ranks, chi_square, dispersion, distribution_function, p_values, row, too_small

import psymetric as ps

METHOD = f"""Parameters are drawn from the priors that a model documents, by NumPy and not by the code that fits;
abilities from the population so drawn; scores from the model. NUTS fits the same model. If priors, likelihood and
sampler agree, the rank of the true value among {N_RANKS - 1} posterior draws is uniform (Talts et al., 2018), for
priors as wide as they are and tables as small: 6 to 15 subjects and 3 to 5 items, or 4 items in pairs. One level,
drawn by lot, stands for each array. The log-likelihood of the responses, given parameters and abilities, is ranked as
well, since it depends on all of them together (Modrák et al., 2025); models that integrate out a second latent
variable do not draw it. Tables in which a group of steps leaves a category unused are drawn again, which leaves the
posterior as it is. There are 100 data sets of each model, and 50 of the four costliest. A chain keeps one draw in
{{thin}}, of {{draws}} after {{warmup}} of warm-up; in {{few:.1%}} of all fits the smallest effective sample size is
under {N_RANKS - 1} (most often of {{worst_few}}). Engines choose the nodes of the subjects' grid by the data; here
all tables of a model have the same.

*χ² p*: equal counts in {calibration_study.BINS} bins, its p simulated. *ECDF band p*: the ranks' distribution
function against a band that holds at all ranks at once (Säilynoja et al., 2022). *Dispersion p*, per model: the mean
squared distance from the middle rank over all its quantities. Uniform ranks give any p with equal chance. The rule:
of {{checks}} checks none may be under {calibration_study.FAMILY:g} / {{checks}} = {{bound:.1e}}, which calibrated
models fail once in {1 / calibration_study.FAMILY:.0f} runs (Bonferroni). The smallest is {{least:.1e}} ({{where}});
{{low}} are under .05, where {{expected:.0f}} are expected. The smallest dispersion p is {{dispersion:.2g}}. Were
draws pulled towards their mean by a third, the dispersion of {{noticed}} of {{models}} models would fail by the same
rule."""
# Some fifteen draws per draw ranked, so that those ranked are nearly independent.
ENGINE = ps.NUTS(warmup=150, draws=300, chains=1)


def describe(found: Mapping[str, Ranks], checks: Mapping[tuple[str, str, str], float]) -> str:
    """What was done and the smallest p values, for the validation page."""
    bound, where = calibration_study.FAMILY / len(checks), min(checks, key=lambda check: checks[check])
    few = {label: np.array(ranks.effective) < N_RANKS - 1 for label, ranks in found.items()}
    return METHOD.format(
        few=np.concatenate([*few.values()]).mean(),
        worst_few=max(few, key=lambda label: few[label].mean()),
        thin=round(ENGINE.draws / (N_RANKS - 1)),
        draws=ENGINE.draws,
        warmup=ENGINE.warmup,
        checks=len(checks),
        bound=bound,
        least=checks[where],
        where=", ".join(where),
        low=sum(p < 0.05 for p in checks.values()),
        expected=0.05 * len(checks),
        dispersion=min(p for (_, _, kind), p in checks.items() if kind == "dispersion"),
        noticed=sum(dispersion(ranks.narrow) < bound for ranks in found.values()),
        models=len(found),
    )


@pytest.fixture(scope="module")
def few() -> Ranks:
    return calibration_study.replicate(DESIGNS["many-facet"], ENGINE, range(50))


@pytest.mark.slow
def test_nuts_is_calibrated(few):
    """A small version of the study below."""
    assert too_small(p_values({"many-facet": few.honest})) == {}


@pytest.mark.slow
def test_an_overconfident_sampler_is_noticed(few):
    """The check can fail: draws a third closer to their mean put the truth outside them too often."""
    assert ("many-facet", "all", "dispersion") in too_small(p_values({"many-facet": few.narrow}))


def test_uniform_ranks_pass_and_others_do_not():
    """The p values are uniform under uniform ranks, and tiny where ranks lean to one side or to both."""
    rng = np.random.default_rng(1)
    for p_value in (distribution_function, lambda ranks: dispersion({"x": ranks})):
        found = [p_value(list(rng.integers(0, N_RANKS, 100))) for _ in range(200)]
        # A rate of 1 in 10 over 200 studies has a standard error of .021.
        assert abs(np.mean(np.array(found) < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 200)
    leaning = list((N_RANKS * rng.beta(1.5, 1, 400)).astype(int))
    assert max(distribution_function(leaning), chi_square(leaning)) < 1e-4
    assert dispersion({"x": list((N_RANKS * rng.beta(0.7, 0.7, 400)).astype(int))}) < 1e-4


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_calibration(record_validation):
    found = {label: calibration_study.replicate(design, ENGINE, range(design.n)) for label, design in DESIGNS.items()}
    checks = p_values({label: ranks.honest for label, ranks in found.items()})
    rows = [row(label, name, of_name) for label, ranks in found.items() for name, of_name in ranks.honest.items()]
    record_validation("Calibration of NUTS", describe(found, checks), rows)
    assert too_small(checks) == {}
