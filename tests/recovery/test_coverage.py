"""Coverage of 95% intervals, bias and honesty of standard errors, against bands computed from the replications."""

from __future__ import annotations

import pytest
import recovery_study
from recovery_study import SIGNIFICANCE, Tally, check

import psymetric as ps

METHOD = f"""{recovery_study.N_SUBJECTS} subjects drawn anew from N({recovery_study.MEAN}, {recovery_study.SD}²)
in every replication, each rated by three of six judges on four items with four categories; facets and steps fixed.
Many-facet Rasch model with common steps. Subjects are scored by `psymetric.score` (EAP), everything else as uncertain
as the fit says (in one replication of five); or, in the row that says so, taken for known, whose intervals are too
short by what they leave out.

*Band*: where the coverage of honest 95% intervals lies, {SIGNIFICANCE} binomial standard errors either side, wider
where the intervals of one replication hit and miss together. *SE / SD*: root mean squared standard error over the
standard deviation of the estimates. The bias of subjects is that of their mean. Maximum likelihood is unbiased in large
samples; sixty subjects leave it a bias of second order, outwards, which is checked to be under a quarter of a standard
error, where it can be ignored (Efron & Tibshirani, 1993, An Introduction to the Bootstrap, ch. 10). A posterior mean is
not meant to be unbiased: its bias is printed, not checked."""
ENGINES = {
    "MarginalML": (ps.MarginalML(), 1_000),
    "ConditionalML": (ps.ConditionalML(), 1_000),
    "JointML": (ps.JointML(correction="wright_douglas"), 1_000),
    "MAP": (ps.MAP(), 400),
    # Short chains: what counts is the rate over many posteriors, not the precision of one.
    "NUTS": (ps.NUTS(warmup=150, draws=250, chains=2), 200),
}
"""Engine and replications: as many as half an hour allows."""
UNBIASED = ("MarginalML", "ConditionalML")


@pytest.fixture(scope="module")
def forty() -> dict[str, Tally]:
    return recovery_study.replicate(ps.MarginalML(), range(1000, 1040))


@pytest.mark.slow
def test_marginal_ml_recovers_the_truth(forty):
    """A small version of the study below."""
    check(forty, ("subject", "item", "judge", "population_mean"))


@pytest.mark.slow
def test_a_wrong_standard_error_is_noticed(forty):
    """The check can fail: standard errors two thirds of what they should be lie outside the band."""
    narrow = Tally(forty["judge"].estimate, [e * 2 / 3 for e in forty["judge"].error], forty["judge"].hit)
    narrow.departure = forty["judge"].departure
    with pytest.raises(AssertionError, match="judge"):
        check({"judge": narrow}, ("judge",))


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_coverage(name, record_validation):
    engine, n = ENGINES[name]
    tallies = recovery_study.replicate(engine, range(n))
    record_validation(f"Coverage under {name}", METHOD, [tally.row(name, key) for key, tally in tallies.items()])
    # A posterior mean is pulled by priors and by the posterior's skew: 60 subjects show it, and the page says how much.
    check(tallies, ("subject", "item", "judge"), unbiased=name in UNBIASED)
