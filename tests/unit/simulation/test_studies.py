from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.errors import DesignError
from psymetric.estimation.fitting import fit
from psymetric.estimation.joint_ml import JointML
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.models.rasch import Rasch
from psymetric.simulation.studies import crossed_design, draw_parameters, simulate_responses

LEVELS = {"subject": range(60), "item": ["i1", "i2", "i10"], "judge": ["a", "b"]}
LEAST_P = 0.001


def test_crossed_design_and_its_shares() -> None:
    whole = crossed_design(LEVELS)
    assert len(whole) == 60 * 3 * 2
    assert not whole.duplicated().any()
    part = crossed_design(LEVELS, keep=0.25, seed=1)
    assert len(part) == 90
    assert len(part.merge(whole)) == 90
    with pytest.raises(DesignError, match=r"keep is a share in \(0, 1\], got 0"):
        crossed_design(LEVELS, keep=0)


def test_parameters_satisfy_the_constraints() -> None:
    model = ManyFacetRasch(steps="item", interactions=(("judge", "item"),))
    drawn = draw_parameters(model, LEVELS, n_categories=4, seed=2)
    assert drawn["step"].shape == (3, 3)
    np.testing.assert_allclose(drawn["step"].sum(axis=1), 0, atol=1e-12)
    assert (np.diff(drawn["step"], axis=1) > 0).all()
    np.testing.assert_allclose(drawn["judge:item"].sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(drawn["judge:item"].sum(axis=1), 0, atol=1e-12)
    assert drawn["item"].sum() == pytest.approx(0)
    assert drawn["ability"].sum() != pytest.approx(0)
    anchored = ManyFacetRasch(anchors={"judge": {"b": 0.7}})
    assert draw_parameters(anchored, LEVELS, n_categories=3)["judge"][1] == 0.7


def test_draws_follow_the_model() -> None:
    """One cell repeated 3,000 times has the frequencies that the model's formula gives, written out here."""
    levels = {"subject": ["s"], "item": ["i", "j"]}
    params = {"ability": [0.4], "item": [-0.3, 0.3], "step": [[-0.5, 0.5]]}
    model = ManyFacetRasch(facets=("item",))
    design = pd.DataFrame({"subject": ["s"] * 3000, "item": ["i"] * 3000})
    table = simulate_responses(model, params, levels, design=design, n_categories=3, seed=3)
    assert isinstance(table, ResponseTable)
    weights = np.exp([0.0, 0.7 + 0.5, 2 * 0.7])
    counts = np.bincount(table.response, minlength=3)
    assert chisquare(counts, 3000 * weights / weights.sum()).pvalue > LEAST_P


def test_labels_keep_their_parameters_whatever_the_table_sorts() -> None:
    """ "i10" comes before "i2" in no natural order; parameters are matched by label."""
    levels = {"subject": [f"s{i}" for i in range(400)], "item": ["i10", "i2", "i1"]}
    params = {"ability": np.zeros(400), "item": [2.0, 0.0, -2.0]}
    table = simulate_responses(Rasch(), params, levels, seed=1)
    assert isinstance(table, ResponseTable)
    assert table.levels["item"] == ("i1", "i2", "i10")
    right = table.to_frame().groupby("item")["response"].mean()
    assert right["i1"] > 0.8 > 0.6 > right["i2"] > 0.4 > 0.2 > right["i10"]


def test_pairs_and_their_ties() -> None:
    model = BradleyTerry(ties="davidson", position=True)
    levels = {"item": ["a", "b", "c", "d"]}
    params = draw_parameters(model, levels, seed=5) | {"position": np.array(1.0)}
    pairs = crossed_design({"left": levels["item"], "right": levels["item"], "again": range(300)})
    design = pairs[pairs["left"] != pairs["right"]]
    table = simulate_responses(model, params, levels, design=design, seed=6)
    assert isinstance(table, PairTable)
    found = fit(model, table, engine=JointML())
    inside = [found.estimates("position").iloc[0], found.estimates("tie").iloc[0]]
    # Four standard errors, with a fixed seed.
    for row, name in zip(inside, ("position", "tie"), strict=True):
        assert abs(row["estimate"] - float(params[name])) < 4 * row["se"]
    worths = found.estimates("item")
    assert ((worths["estimate"] - params["worth"]).abs() < 4 * worths["se"]).all()
    assert isinstance(simulate_responses(model, params, levels, seed=1), PairTable)


def test_recovers_a_many_facet_model() -> None:
    model = ManyFacetRasch(steps="common")
    params = draw_parameters(model, LEVELS, n_categories=3, seed=7)
    table = simulate_responses(model, params, LEVELS, n_categories=3, seed=8)
    again = simulate_responses(model, params, LEVELS, n_categories=3, seed=8)
    assert table.hash == again.hash
    assert table.hash != simulate_responses(model, params, LEVELS, n_categories=3, seed=9).hash
    found = fit(model, table, engine=JointML())
    for facet in ("item", "judge"):
        estimates = found.estimates(facet)
        truth = dict(zip(LEVELS[facet], params[facet], strict=True))
        error = estimates["estimate"] - estimates["level"].map(truth)
        assert (error.abs() < 4 * estimates["se"]).all()


def test_bad_designs_are_named() -> None:
    params = {"ability": np.zeros(2), "item": np.zeros(2)}
    levels = {"subject": ["s", "t"], "item": ["i", "j"]}
    with pytest.raises(DesignError, match="the design has no column 'item'; it has"):
        simulate_responses(Rasch(), params, levels, design=pd.DataFrame({"subject": ["s"]}))
    design = pd.DataFrame({"subject": ["s", "s"], "item": ["i", "k"]})
    with pytest.raises(DesignError, match=r"column 'item' has labels .* in 1 of 2 rows, first 'k' in row 1"):
        simulate_responses(Rasch(), params, levels, design=design)
