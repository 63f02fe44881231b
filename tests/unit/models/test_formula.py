"""Facet models written as a line of terms: the same frozen model as the keywords, or an error that marks the term."""

from __future__ import annotations

import pytest

import psymetric as ps
from psymetric.errors import DesignError

TWO = ("item", "judge")
THREE = ("item", "judge", "occasion")


@pytest.mark.parametrize(
    ("formula", "model"),
    [
        ("item + judge", ps.ManyFacetRasch()),
        ("item", ps.ManyFacetRasch(facets=("item",))),
        ("judge + item", ps.ManyFacetRasch(facets=("judge", "item"))),
        ("~ item + judge + step", ps.ManyFacetRasch()),
        ("\n  item\n  + judge\n", ps.ManyFacetRasch()),
        ("item + judge + item", ps.ManyFacetRasch()),
        ("item + judge + step(item)", ps.ManyFacetRasch(steps="item")),
        ("~ item + judge + item:step", ps.ManyFacetRasch(steps="item")),
        ("item + judge + step:item", ps.ManyFacetRasch(steps="item")),
        ("~ item + judge*step", ps.ManyFacetRasch(steps="judge")),
        ("item + judge + judge:item", ps.ManyFacetRasch(interactions=(("judge", "item"),))),
        ("item*judge", ps.ManyFacetRasch(interactions=(("item", "judge"),))),
        ("item + item*judge + judge:item", ps.ManyFacetRasch(interactions=(("item", "judge"),))),
        ("item + (1 | judge)", ps.ManyFacetRasch(random=("judge",))),
        ("item+(1|judge)+(1|judge:item)", ps.ManyFacetRasch(random=("judge", "judge:item"), interactions=(TWO[::-1],))),
        (
            "item + judge + item:judge + (1 | template) + step(item)",
            ps.ManyFacetRasch(facets=(*TWO, "template"), interactions=(TWO,), random=("template",), steps="item"),
        ),
        ("item + judge + slope(judge)", ps.ManyFacetRasch(slopes=("judge",))),
        ("item + judge + slope(judge) + slope(item)", ps.ManyFacetRasch(slopes=("judge", "item"))),
        ("item(length + topic) + judge", ps.ManyFacetRasch(covariates={"item": ("length", "topic")})),
        ("item(length) + (1 | item) + judge", ps.ManyFacetRasch(covariates={"item": "length"}, random="item")),
        (
            "item + judge + occasion + walk(judge:occasion)",
            ps.ManyFacetRasch(facets=THREE, drift={"judge:occasion": "walk"}),
        ),
        (
            "item + judge + occasion + linear(judge:occasion) + (1 | occasion:judge)",
            ps.ManyFacetRasch(facets=THREE, drift={"judge:occasion": "linear"}, random=("judge:occasion",)),
        ),
        ("item + `judge no. 2`", ps.ManyFacetRasch(facets=("item", "judge no. 2"))),
        ("item + `step`", ps.ManyFacetRasch(facets=("item", "step"))),
        ("item + prompt_2.a", ps.ManyFacetRasch(facets=("item", "prompt_2.a"))),
    ],
)
def test_a_formula_is_the_model_of_its_keywords(formula: str, model: ps.ManyFacetRasch):
    assert ps.ManyFacetRasch.from_formula(formula) == model


def test_settings_that_no_term_says_are_keywords():
    anchors, population = {"judge": {"j1": 0.4}}, ps.Population(groups="group")
    written = ps.ManyFacetRasch.from_formula(
        "item + judge", anchors=anchors, prior_sd=1.5, slope_prior_sd=0.3, population=population
    )
    assert written == ps.ManyFacetRasch(anchors=anchors, prior_sd=1.5, slope_prior_sd=0.3, population=population)
    assert ps.ManyFacetRasch.from_formula("item + judge", population=None).population == ps.Population()
    with pytest.raises(DesignError, match="cannot be both random and anchored"):
        ps.ManyFacetRasch.from_formula("item + (1 | judge)", anchors=anchors)


@pytest.mark.parametrize(
    ("formula", "marked", "problem"),
    [
        ("", "", "has no term before it: write judge"),
        ("item + ", "", "has no term before it"),
        ("item + + judge", "+", "has no term before it"),
        ("item + (1 | judge", "(", "bracket or backquote without its pair"),
        ("item + judge)", ")", "bracket or backquote without its pair"),
        ("item + `judge", "`", "bracket or backquote without its pair"),
        ("rating ~ item + judge", "rating ~ item", "is no term.*the response and the subject are the table's"),
        ("item - judge", "item - judge", "is no term"),
        ("item + 1", "1", "is no term"),
        ("item*judge*template", "item*judge*template", "is no term"),
        ("item + judge + (1 + x | judge)", "(1 + x | judge)", "is no term"),
        ("item + judge + (1 | item + judge)", "(1 | item + judge)", "is no term"),
        ("item + judge:item", "judge:item", r"needs judge in the model: add `\+ judge` or `\+ \(1 \| judge\)`"),
        ("item + step(judge)", "step(judge)", "needs judge in the model"),
        ("step", "step", "leaves the model without a facet"),
        ("item + item:item", "item:item", "must name two facets"),
        ("item + judge + walk(judge)", "walk(judge)", "must name two facets, as in judge:item"),
        ("item + judge + slope(item:judge)", "slope(item:judge)", "must name one facet"),
        ("item + judge + step(item:judge)", "step(item:judge)", "must name one facet"),
        ("item + (1 | subject)", "(1 | subject)", "names the subject, which every model has: leave it out"),
        ("item + slop(item)", "slop(item)", "explains slop by item, a facet; what takes facets is step, slope"),
    ],
)
def test_a_term_that_cannot_be_read_is_marked(formula: str, marked: str, problem: str):
    with pytest.raises(DesignError, match=problem) as raised:
        ps.ManyFacetRasch.from_formula(formula)
    _, shown, marks = str(raised.value).split("\n")
    start = marks.index("^")
    assert shown == f"    {formula}"
    assert shown[start : start + marks.count("^")] == marked
    assert f"{marked!r} at column {start - 3} " in str(raised.value)


@pytest.mark.parametrize(
    ("formula", "second", "first"),
    [
        ("item + (1 | item)", r"\(1 \| item\)", "'item' at column 1"),
        ("item(length) + item", "item", r"'item\(length\)' at column 1"),
        ("item(length) + item(topic)", r"item\(topic\)", r"'item\(length\)' at column 1"),
        ("item*judge + (1 | judge:item)", r"\(1 \| judge:item\)", r"'item\*judge' at column 1"),
        ("item + judge + step + step(item)", r"step\(item\)", "'step' at column 16"),
        ("item*judge + walk(judge:item)", r"walk\(judge:item\)", r"'item\*judge' at column 1"),
        ("item + judge + walk(judge:item) + linear(item:judge)", r"linear\(item:judge\)", r"'walk\(judge:item\)'"),
    ],
)
def test_terms_that_contradict_each_other_are_named(formula: str, second: str, first: str):
    with pytest.raises(DesignError, match=rf"'{second}' at column \d+ contradicts {first}.*: keep one"):
        ps.ManyFacetRasch.from_formula(formula)
