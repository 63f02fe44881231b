"""What other packages of comparisons got wrong (oracles/README.md, "Defects seen in existing packages"), against ours.

2, priors named by sd: test_choix_map. 4, unknown outcomes and "both bad": test_outcomes, test_attributes; disconnected
items: test_bad_input. 8, penalties that pass for maximum likelihood: test_plackett_luce, test_ranking_oracles. The
others that concern comparisons are here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import ConvergenceError

WORTH = np.array([1.0, 0.4, 0.0, -0.4, -1.0])


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    """Four judges who all choose by the same law, 600 comparisons each."""
    rng = np.random.default_rng(21)
    left = rng.integers(0, 5, 2_400)
    right = (left + rng.integers(1, 5, 2_400)) % 5
    won = rng.random(2_400) < 1 / (1 + np.exp(WORTH[right] - WORTH[left]))
    return pd.DataFrame({"a": left, "b": right, "w": np.where(won, "left", "right"), "j": np.arange(2_400) % 4})


def table(rows: pd.DataFrame, **options: str) -> ps.PairTable:
    return ps.PairTable.from_frame(rows, left="a", right="b", outcome="w", **options)


def test_skills_of_like_judges_are_alike_and_leave_the_scale_alone(votes):
    """Defect 3: equally reliable judges got skills of .5 to .7 and worths a half too far apart."""
    fit = ps.fit(ps.BradleyTerry(slopes=("judge",)), table(votes, judge="j"))
    slope = fit.parameters["judge_slope"]
    assert np.log(slope).sum() == pytest.approx(0, abs=1e-9)
    # Four standard errors: one in ten thousand runs of a right model, and the seed is fixed.
    assert np.all(np.abs(slope - 1) < 4 * fit.standard_errors["judge_slope"])
    assert np.all(np.abs(fit.parameters["worth"] - WORTH) < 4 * fit.standard_errors["worth"])


def test_a_tighter_prior_draws_everything_to_its_centre(votes):
    """Defect 3: a log prior of the wrong sign pushed away from it, to minus infinity."""
    rows = table(votes, judge="j")
    spread, skill = [], []
    for sd in (2.0, 0.2, 0.02):
        fit = ps.fit(ps.BradleyTerry(slopes=("judge",), prior_sd=sd, slope_prior_sd=sd), rows, engine=ps.MAP())
        spread.append(np.ptp(fit.parameters["worth"]))
        skill.append(np.abs(np.log(fit.parameters["judge_slope"])).max())
    assert spread[0] > spread[1] > spread[2] > 0
    assert skill[0] > skill[1] > skill[2]


@pytest.mark.parametrize("ties", [None, "davidson"])
def test_draws_are_centred_as_the_estimates_are(votes, ties):
    """Defect 7: an item held at a value inside each draw widened the intervals of all others by its own error."""
    rows = votes if ties is None else votes.assign(w=votes["w"].where(np.arange(2_400) % 5 > 0, "tie"))
    found = ps.bootstrap(ps.BradleyTerry(ties=ties), table(rows), n=200, seed=4)
    np.testing.assert_allclose(found.draws["worth"].sum(axis=1), 0, atol=1e-9)
    # The sd of a standard deviation from 200 draws is 1/20 of it; to an item held in each draw it is 1.4 to 1.6 times.
    ratio = found.standard_errors["worth"] / found.fit.standard_errors["worth"]
    np.testing.assert_allclose(ratio, 1, atol=4 / 20)


@pytest.mark.parametrize("model", [ps.BradleyTerry(), ps.BradleyTerry(position=True)], ids=["counts", "rows"])
def test_a_limit_on_iterations_is_a_failure(votes, model):
    """Defect 10: worths after a hundred iterations came back as if they were the maximum."""
    with pytest.raises(ConvergenceError, match="JointML did not converge") as caught:
        ps.fit(model, table(votes), engine=ps.JointML(max_iterations=1))
    assert np.isnan(caught.value.fit.standard_errors["worth"]).all()


def test_votes_say_as_much_as_they_are(votes):
    """Defect 6: strong wins entered three times. A weight does so, and says so: errors shrink by its root."""
    once, thrice = (ps.fit(ps.BradleyTerry(), table(votes.assign(n=n), weight="n")) for n in (1, 3))
    np.testing.assert_allclose(thrice.parameters["worth"], once.parameters["worth"], atol=1e-9)
    np.testing.assert_allclose(once.standard_errors["worth"] / thrice.standard_errors["worth"], np.sqrt(3), rtol=1e-9)
    assert thrice.n_responses == 3 * once.n_responses
