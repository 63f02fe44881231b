"""Which facets are random where the model leaves it to the engine."""

from __future__ import annotations

import engine_cases
import model_cases
import pytest

import psymetric as ps
from psymetric.estimation.exchangeable import EXCHANGEABLE, decide_random


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    """Three judges, and three templates that go with the items."""
    frame = model_cases.response_frame(3)
    return ps.ResponseTable.from_frame(
        frame.assign(template=frame["item"].str.replace("i", "t"), order="a"),
        response="rating",
        subject="subject",
        item="item",
        facets=("judge", "template", "order"),
    )


def test_judges_and_templates_alone(table) -> None:
    model = ps.ManyFacetRasch(facets=("item", "judge", "template", "order"))
    decided, notes = decide_random(model, table, EXCHANGEABLE)
    assert decided.random == ("judge", "template")
    assert [spec.name for spec in decided.parameters if spec.random] == ["ability", "judge", "template"]
    assert len(notes) == 2
    assert "facet 'judge' is random by default: its 3 levels count as draws" in notes[0]


def test_what_the_model_says_stands(table) -> None:
    for random in ((), ("item",)):
        model = ps.ManyFacetRasch(random=random)
        assert decide_random(model, table, EXCHANGEABLE) == (model, ())
    assert decide_random(ps.Rasch(), table, EXCHANGEABLE) == (ps.Rasch(), ())


def test_anchored_judges_are_known(table) -> None:
    model = ps.ManyFacetRasch(anchors={"judge": {"j1": 0.0}})
    decided, notes = decide_random(model, table, EXCHANGEABLE)
    assert decided.random == ()
    assert notes == ()


def test_no_candidates_no_random_facets(table) -> None:
    decided, notes = decide_random(ps.ManyFacetRasch(), table, ())
    assert decided.random == ()
    assert notes == ()


def test_two_judges_are_too_few() -> None:
    table = engine_cases.table(engine_cases.frame())
    decided, (note,) = decide_random(ps.ManyFacetRasch(), table, EXCHANGEABLE)
    assert decided.random == ()
    assert note == "facet 'judge' is fixed: its 2 levels are too few to estimate the sd of a random facet"


@pytest.mark.thorough
@pytest.mark.parametrize("engine", [ps.NUTS(warmup=200, draws=200, chains=2), ps.SVI()])
def test_fits_of_the_posterior_say_that_judges_are_random(engine) -> None:
    table = model_cases.response_table(model_cases.response_frame(3))
    fit = ps.fit(ps.ManyFacetRasch(), table, engine=engine)
    assert fit.model == ps.ManyFacetRasch(random=("judge",))
    assert "random=('judge',)" in fit.provenance.settings["model"]
    assert "note: facet 'judge' is random by default" in fit.summary()
    assert "judge_sd" in list(fit.estimates("population")["level"])


@pytest.mark.parametrize("engine", [ps.MarginalML(), ps.MAP(), ps.JointML()])
def test_other_engines_take_judges_as_fixed(engine) -> None:
    table = model_cases.response_table(model_cases.response_frame(3))
    fit = ps.fit(ps.ManyFacetRasch(), table, engine=engine)
    assert fit.model == ps.ManyFacetRasch(random=())
    assert "judge_sd" not in fit.parameters
    assert not any("random" in note for note in fit.notes)
