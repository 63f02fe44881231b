from __future__ import annotations

from dataclasses import replace

import pytest

from psymetric.errors import DesignError
from psymetric.instruments import load_instrument
from psymetric.simulation.drawing import draw_world
from psymetric.simulation.truth import SimulatedItem, SimulatedJudge, SimulatedSubject, World

TEXTS = {"one": ["text one"], "two": ["text two"]}


def world() -> World:
    return draw_world(load_instrument("empathy-rubric"), subjects=TEXTS, judges=["m", "n"])


def test_repeated_names_are_refused() -> None:
    with pytest.raises(DesignError, match="judges must have names of their own: 'm' is there more than once"):
        replace(world(), judges=(SimulatedJudge(name="m"), SimulatedJudge(name="m")))
    with pytest.raises(DesignError, match="subjects must have names of their own: there are none"):
        replace(world(), subjects=())


def test_items_must_be_those_of_the_instrument() -> None:
    with pytest.raises(DesignError, match=r"items \['emotional_reaction', 'interpretation'\] must be those of empathy"):
        replace(world(), items=world().items[:2])
    crooked = SimulatedItem(name="exploration", difficulty=0.0, steps=(0.5, 0.5))
    with pytest.raises(DesignError, match="'exploration' needs 2 steps that sum to 0"):
        replace(world(), items=(*world().items[:2], crooked))


def test_unknown_shift_is_refused() -> None:
    with pytest.raises(DesignError, match="no shift for facet 'persona'; valid: template, order, label, replacement"):
        replace(world(), shifts={"persona": {"a": 1.0}})


def test_measures_must_match_the_traits() -> None:
    stray = SimulatedSubject(name="x", measures={"warmth": 1.0}, texts=("t",))
    with pytest.raises(DesignError, match=r"'x' needs a measure of each of \[''\], got \['warmth'\]"):
        replace(world(), subjects=(stray,))


def test_a_text_shared_by_different_subjects_is_refused() -> None:
    twins = tuple(SimulatedSubject(name=n, measures={"": v}, texts=("same",)) for n, v in (("a", 0.0), ("b", 1.0)))
    with pytest.raises(DesignError, match="'a' and 'b' differ in measure and share a text"):
        replace(world(), subjects=twins)
    same = draw_world(load_instrument("empathy-rubric"), subjects={"a": ["t"], "b": ["t"]}, judges=["m"])
    assert same.subjects[0].measures == same.subjects[1].measures


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discrimination": 0.0}, "discrimination must be positive"),
        ({"refusal": 1.5}, "refusal is a share between 0 and 1"),
        ({"severity": float("nan")}, "every number must be finite"),
        ({"label_preference": {"A": float("inf")}}, "every number must be finite"),
    ],
)
def test_judges_have_possible_numbers(change: dict[str, object], message: str) -> None:
    with pytest.raises(DesignError, match=message):
        SimulatedJudge(name="m", **change)


def test_inventory_subjects_need_a_model() -> None:
    traits = ("agreeableness", "conscientiousness", "extraversion", "neuroticism", "openness")
    lost = SimulatedSubject(name="m", measures=dict.fromkeys(traits, 0.0), model="other")
    with pytest.raises(DesignError, match=r"'m' needs one of the models \['m'\]"):
        draw_world(load_instrument("big-five-20"), subjects=[lost], judges=["m"])
