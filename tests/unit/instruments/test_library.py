"""The built-in instruments, and instruments by path."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from psymetric.errors import StudyError
from psymetric.instruments import Inventory, PairTask, Rubric, list_instruments, list_texts, load_instrument
from psymetric.instruments.library import instrument_from_dict, read_builtin_texts


def test_the_built_in_instruments_are_listed() -> None:
    assert list_instruments() == ("big-five-20", "empathy-rubric", "pairwise-empathy")


@pytest.mark.parametrize("name", list_instruments())
def test_every_built_in_is_complete(name: str) -> None:
    instrument = load_instrument(name)
    assert instrument.name == name
    assert instrument.licence == "Apache-2.0"
    assert len(instrument.templates) >= 3
    assert instrument.sheet.dimensions
    assert instrument.ethics


@pytest.mark.parametrize("name", list_instruments())
def test_every_built_in_survives_json(name: str) -> None:
    instrument = load_instrument(name)
    assert instrument_from_dict(json.loads(json.dumps(instrument.model_dump(mode="json", by_alias=True)))) == instrument


def test_big_five_has_balanced_keys_and_a_full_difficulty_order() -> None:
    inventory = load_instrument("big-five-20")
    assert isinstance(inventory, Inventory)
    counts = Counter((item.trait, item.key) for item in inventory.items)
    assert len(inventory.items) == 20
    assert len(counts) == 10
    assert set(counts.values()) == {2}
    ordered = {trait: set(ids) for trait, ids in inventory.sheet.difficulty_order.items()}
    assert ordered == {t: {i.id for i in inventory.items if i.trait == t} for t in {i.trait for i in inventory.items}}
    assert set(inventory.sheet.dimensions) == set(ordered)


def test_empathy_rubric_has_its_three_criteria_with_descriptors() -> None:
    rubric = load_instrument("empathy-rubric")
    assert isinstance(rubric, Rubric)
    assert [c.id for c in rubric.criteria] == ["emotional_reaction", "interpretation", "exploration"]
    assert rubric.response.categories == (0, 1, 2)
    assert all(c.levels is not None and set(c.levels) == {0, 1, 2} for c in rubric.criteria)


def test_pairwise_empathy_allows_ties() -> None:
    task = load_instrument("pairwise-empathy")
    assert isinstance(task, PairTask)
    assert task.response.tie is not None


def test_support_conversations_are_graded_within_six_situations() -> None:
    rows = [json.loads(line) for line in read_builtin_texts("support-conversations").splitlines()]
    assert len(rows) == len({row["id"] for row in rows}) == len({row["conversation"] for row in rows}) == 24
    grades = Counter((row["situation"], row["grade"]) for row in rows)
    assert set(grades.values()) == {1}
    assert {grade for _, grade in grades} == {0, 1, 2, 3}
    for row in rows:
        assert row["conversation"].startswith("Seeker: ")
        assert row["conversation"].count("\nSupporter: ") == 1


def test_a_user_instrument_is_read_relative_to_its_folder(tmp_path: Path) -> None:
    text = (Path(load_instrument.__code__.co_filename).parent / "builtin" / "empathy-rubric.yaml").read_text("utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("name: empathy-rubric", "name: mine"), "utf-8")
    assert load_instrument("mine.yaml", folder=tmp_path).name == "mine"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(
        StudyError, match=r"no instrument 'empathy-rubrik'; did you mean 'empathy-rubric'\? valid: big-five-20"
    ):
        load_instrument("empathy-rubrik")


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"mine\.yml: no such file"):
        load_instrument("mine.yml", folder=tmp_path)


def test_unknown_texts_get_the_nearest() -> None:
    assert list_texts() == ("support-conversations",)
    with pytest.raises(StudyError, match="no texts 'support-conversation'; did you mean 'support-conversations'"):
        read_builtin_texts("support-conversation")
