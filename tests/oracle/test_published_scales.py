"""LSAT7 and Science as mirt's own test files and README I1, I3 of ../shared/oracles print them, and two fits beside.

Conversions: mirt's slope-intercept form is a θ + d with θ from N(0, 1), so that d = −a b; of graded responses
d_k = −a (δ + τ_k); of the Rasch model a is our population sd and d = population mean − item.
"""

from __future__ import annotations

import json

import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import IdentificationError

pytestmark = pytest.mark.shared_data
LSAT7, SCIENCE = "README, I1 LSAT7", "README, I3 Science"
# Four decimals, and two independent optimisers that stop within a few of the last.
DERIVED = 2e-4


def answers(path) -> ps.ResponseTable:
    long = pd.read_csv(path).rename_axis("person").reset_index().melt("person", var_name="item", value_name="score")
    return ps.ResponseTable.from_frame(long, response="score", subject="person", item="item")


@pytest.fixture(scope="module")
def lsat7(oracles):
    table = answers(oracles / "fits/mirt/LSAT7.csv")
    return ps.fit(ps.TwoPL(), table), table


def test_lsat7_slopes_and_intercepts(lsat7, held):
    fit, _ = lsat7
    slope, place = fit.parameters["discrimination"], fit.parameters["item"]
    held(LSAT7, "slopes", slope, [0.9875, 1.0808, 1.7075, 0.7650, 0.7357], atol=DERIVED)
    held(LSAT7, "intercepts", -slope * place, [1.8559, 0.8080, 1.8052, 0.4860, 1.8545], atol=DERIVED)
    held(LSAT7, "log-likelihood", fit.log_likelihood, -2658.8051, atol=1e-4)


def test_lsat7_common_slope(lsat7, held):
    fit = ps.fit(ps.Rasch(), lsat7[1])
    held(LSAT7, "common slope", fit.parameters["population_sd"], 1.0113, atol=DERIVED)
    intercepts = fit.parameters["population_mean"] - fit.parameters["item"]
    held(LSAT7, "its intercepts", intercepts, [1.8683, 0.7910, 1.4610, 0.5215, 1.9930], atol=DERIVED)
    held(LSAT7, "its log-likelihood", fit.log_likelihood, -2664.9009, atol=1e-4)


def test_lsat7_fit_and_sum_scores(lsat7, held):
    """The source stops EM a little short, which moves its statistics by some 1e-4 of themselves."""
    fit, table = lsat7
    found = ps.limited_information(fit, table)
    assert found.df == 5
    held(LSAT7, "M2", found.value, 11.93841, rtol=1e-3)
    items = ps.item_fit(fit, table)
    assert (items["df"] == 2).all()
    held(LSAT7, "S-X²", items["s_x2"], [4.749, 14.451, 1.270, 5.237, 0.941], atol=6e-3)
    sums = ps.score_table(fit).frame
    held(LSAT7, "EAP by sum", sums["eap"], [-1.86979, -1.43186, -0.94885, -0.41320, 0.15173, 0.72719], atol=1e-3)
    held(LSAT7, "SE of EAP by sum", sums["eap_se"], [0.6927, 0.6839, 0.6942, 0.7211, 0.7588, 0.8009], atol=1e-3)


def test_science_graded_responses(oracles, held):
    table = answers(oracles / "fits/mirt/Science.csv")
    fit = ps.fit(ps.GradedResponse(), table)
    order = [fit.levels["item"].index(name) for name in ("Comfort", "Work", "Future", "Benefit")]
    slope = fit.parameters["discrimination"][order]
    held(SCIENCE, "slopes", slope, [1.0406, 1.2258, 2.3006, 1.0938], atol=1e-3)
    found = -slope[:, None] * (fit.parameters["item"][order, None] + fit.parameters["step"][order])
    printed = [
        [4.8627, 2.6392, -1.4655],
        [2.9240, 0.9011, -2.2664],
        [5.2452, 2.2186, -1.9675],
        [3.3469, 0.9914, -1.6875],
    ]
    held(SCIENCE, "intercepts", found, printed, atol=2e-3)
    held(SCIENCE, "log-likelihood", fit.log_likelihood, -1608.8694, atol=1e-4)
    held(SCIENCE, "C2", ps.limited_information(fit, table).value, 19.17929, rtol=1e-3)
    pattern = pd.DataFrame({"person": "x", "item": ["Comfort", "Work", "Future", "Benefit"], "score": [1, 2, 3, 4]})
    asked = pattern.assign(score=[table.categories[k - 1] for k in pattern["score"]])
    one = ps.ResponseTable.from_frame(
        asked, response="score", subject="person", item="item", categories=list(table.categories)
    )
    score = ps.score(fit, one).frame.iloc[0]
    held(SCIENCE, "EAP and SE of pattern 1234", [score["estimate"], score["se"]], [-0.34949, 0.60049], atol=1e-3)


def test_science_rating_scale(oracles, held):
    """mirt's rsm: b common to the items, c their easiness from the first."""
    record = json.loads((oracles / "fits/mirt/Science_rsm.json").read_text())
    fit = ps.fit(ps.ManyFacetRasch(facets=("item",)), answers(oracles / "fits/mirt/Science.csv"))
    held("mirt/Science_rsm", "log-likelihood", fit.log_likelihood, record["loglik"], atol=1e-5)
    items = record["IRTpars"]["items"]
    place = fit.estimates("item").set_index("level")["estimate"].loc[items[".row"]].to_numpy()
    held("mirt/Science_rsm", "items from the first", place[0] - place, items["c"], atol=1e-3)
    variance = record["IRTpars"]["cov"]["F1"][0]
    held("mirt/Science_rsm", "variance of θ", fit.parameters["population_sd"] ** 2, variance, atol=2e-3)


def test_three_parameters_that_five_items_do_not_determine(oracles):
    """mirt ran into its cap of 20,000 cycles on LSAT7_3PL; here that is an error."""
    table = answers(oracles / "fits/mirt/LSAT7.csv")
    with pytest.raises(IdentificationError, match="no maximum inside what ThreePL allows: guessing of item"):
        ps.fit(ps.ThreePL(), table, engine=ps.MarginalML())
    record = json.loads((oracles / "fits/mirt/LSAT7_3PL.json").read_text())
    assert not record["converged"]
