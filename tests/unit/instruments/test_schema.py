"""What an instrument file may not say."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from psymetric.errors import StudyError
from psymetric.instruments import Inventory, PairTask, Rubric
from psymetric.instruments.library import instrument_from_dict

COMMON: dict[str, Any] = {"name": "x", "construct": "c", "version": "1", "licence": "l", "source": "s"}
RESPONSE: dict[str, Any] = {"categories": [1, 2, 3], "anchors": {1: "low", 2: "mid", 3: "high"}}
INVENTORY: dict[str, Any] = {
    **COMMON,
    "kind": "inventory",
    "response": RESPONSE,
    "items": [{"id": "a", "text": "calm", "trait": "t"}, {"id": "b", "text": "tense", "trait": "t", "key": -1}],
    "templates": {"one": {"user": "{item} {options}"}},
}
RUBRIC: dict[str, Any] = {
    **COMMON,
    "kind": "rubric",
    "response": RESPONSE,
    "criteria": [{"id": "a", "text": "warm?", "levels": {1: "not", 2: "some", 3: "very"}}],
    "templates": {"one": {"user": "{criterion} {text} {options}"}},
}
PAIR: dict[str, Any] = {
    **COMMON,
    "kind": "pair",
    "question": "which?",
    "response": {"first": "1st", "second": "2nd", "tie": "same"},
    "templates": {"one": {"user": "{question} {first} {second} {options}"}},
}


def changed(base: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    data = copy.deepcopy(base)
    *parents, last = path.split("/")
    place: Any = data
    for part in parents:
        place = place[int(part) if part.isdigit() and isinstance(place, list) else part]
    place[int(last) if isinstance(place, list) else last] = value
    return data


def test_the_three_kinds_are_read() -> None:
    assert isinstance(instrument_from_dict(INVENTORY), Inventory)
    assert isinstance(instrument_from_dict(RUBRIC), Rubric)
    assert isinstance(instrument_from_dict(PAIR), PairTask)


def test_pair_categories_follow_the_tie() -> None:
    tied, untied = instrument_from_dict(PAIR), instrument_from_dict(changed(PAIR, "response/tie", None))
    assert (tied.response.categories, tied.response.n_categories) == (("left", "right", "tie"), 3)
    assert (untied.response.categories, untied.response.n_categories) == (("left", "right"), 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "field kind is required: one of inventory, rubric, pair"),
        ({**RUBRIC, "kind": "rubrik"}, "got 'rubrik'; did you mean 'rubric'"),
        (
            changed(INVENTORY, "response/categories", [1, 3, 2]),
            r"categories must be strictly increasing, got \[1, 3, 2\]",
        ),
        (
            changed(INVENTORY, "response/categories", [1, 2]),
            r"anchors must match categories \[1, 2\]: .* not a category \[3\]",
        ),
        (changed(INVENTORY, "response/anchors", {1: "a", 2: "b", 3: "a"}), "anchor 'a' is used more than once"),
        (changed(INVENTORY, "items/1/id", "a"), "item id 'a' is used more than once"),
        (changed(INVENTORY, "items/1/text", "calm"), "item text 'calm' is used more than once"),
        (changed(INVENTORY, "items/1/key", 0), r"items\[1\]\.key: input should be 1 or -1"),
        (changed(INVENTORY, "items", []), "items: tuple should have at least 1 item"),
        (changed(INVENTORY, "templates", {}), "templates: .*at least 1 item"),
        (changed(INVENTORY, "templates/one/user", "{item}"), r"template 'one': user text lacks \{options\}"),
        (changed(INVENTORY, "templates/one/user", "{item}{options}{options}"), r"\{options\} may stand only once"),
        (
            changed(INVENTORY, "templates/one/user", "{item}{options}{subject}"),
            r"nothing fills \{subject\}; valid: \{item\}",
        ),
        (changed(INVENTORY, "templates/one/system", "be {kind}"), r"the system text is sent as it stands"),
        (changed(INVENTORY, "templates/all", {"user": "{item} {options}"}), "may not be called 'all'"),
        (changed(INVENTORY, "name", "no spaces"), "name: string should match pattern"),
        (changed(INVENTORY, "language", "english!"), "language: string should match pattern"),
        (
            changed(INVENTORY, "scoring", {"subscales": {"s": ["zz"]}}),
            r"scoring\.subscales\.s: no item 'zz'; valid: a, b",
        ),
        (changed(INVENTORY, "sheet", {"difficulty_order": {"t": ["zz"]}}), r"sheet\.difficulty_order\.t: no item 'zz'"),
        (changed(RUBRIC, "criteria/0/levels", {1: "a", 2: "b"}), r"levels of criterion 'a' must match .*missing \[3\]"),
        (
            changed(RUBRIC, "criteria/0/levels", {1: "a", 2: "b", 3: "a"}),
            "level of criterion 'a' 'a' is used more than once",
        ),
        (changed(RUBRIC, "criteria/0/level", {}), r"criteria\[0\]\.level: unknown field; did you mean 'levels'"),
        (changed(RUBRIC, "templates/one/user", "{criterion} {options}"), r"user text lacks \{text\}"),
        (changed(PAIR, "response/second", "1st"), "answer '1st' is used more than once"),
        (changed(PAIR, "templates/one/user", "{first} {second} {options}"), r"user text lacks \{question\}"),
        (changed(PAIR, "items", []), "items: unknown field"),
    ],
)
def test_a_broken_instrument_is_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        instrument_from_dict(data)
