from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from psymetric.design.study import Study
from psymetric.errors import DesignError, StudyError
from psymetric.instruments import load_instrument
from psymetric.simulation.drawing import Spread, draw_world, world_for

MODELS = """
study: s
instrument: big-five-20
subjects: [{name: m}, {name: n}]
personas: [{name: plain}, {name: shy, prompt: You are shy.}]
facets: {template: all}
"""
PAIRS = """
study: s
instrument: pairwise-empathy
subjects: {from: texts.jsonl, system: bot}
judges: [{name: m}]
"""


def test_same_seed_same_world() -> None:
    instrument = load_instrument("empathy-rubric")
    drawn = [draw_world(instrument, subjects={"a": ["t"]}, judges=["m", "n"], seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0].judges != drawn[2].judges


def test_facets_are_centred_and_steps_ordered() -> None:
    facets = {"template": ["direct", "form"], "occasion": ["1"]}
    world = draw_world(load_instrument("big-five-20"), subjects={"m": []}, judges=["m"], facets=facets)
    assert {facet for facet, levels in world.shifts.items() if levels} == {"template"}
    assert sum(world.shifts["template"].values()) == pytest.approx(0)
    assert all(np.all(np.diff(item.steps) > 0) for item in world.items)
    assert len({item.steps for item in world.items}) == 20
    same = draw_world(load_instrument("big-five-20"), subjects={"m": []}, judges=["m"], spread=Spread(step=0.0))
    assert len({item.steps for item in same.items}) == 1


def test_label_sets_that_look_alike_get_no_shift() -> None:
    instrument = load_instrument("big-five-20")  # scores 1 to 5, so that its scores look like numbers

    def shifted(*sets: str, orders: tuple[str, ...] = ("original",)) -> set[str]:
        facets = {"label": sets, "order": orders}
        return set(draw_world(instrument, subjects={"m": []}, judges=["m"], facets=facets).shifts["label"])

    assert shifted("letters", "numbers") == {"letters", "numbers"}
    assert shifted("letters", "numbers", "scores") == {"letters"}
    assert shifted("letters", "scores") == {"letters"}
    assert shifted("letters", "reversed-numbers", "scores", orders=("reversed",)) == {"letters"}


def test_discriminations_have_geometric_mean_one() -> None:
    world = draw_world(
        load_instrument("empathy-rubric"),
        subjects={"a": ["t"]},
        judges=["m", "n", "o"],
        spread=Spread(discrimination=0.5),
    )
    found = [judge.discrimination for judge in world.judges]
    assert np.prod(found) == pytest.approx(1)
    assert np.ptp(found) > 0.1


def test_world_of_an_inventory_has_a_subject_for_every_persona() -> None:
    world = world_for(Study.from_text(MODELS), seed=3)
    assert [s.name for s in world.subjects] == ["m/plain", "m/shy", "n/plain", "n/shy"]
    assert world.subjects[1].persona == "You are shy."
    assert len(world.subjects[0].measures) == 5
    assert set(world.shifts["template"]) == {"direct", "form", "reflect"}


def test_world_of_pairs_measures_the_systems(tmp_path: Path) -> None:
    rows = [{"id": f"{bot}{i}", "text": f"{bot} says {i}", "bot": bot} for bot in "xyz" for i in range(2)]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    world = world_for(Study.from_text(PAIRS, folder=tmp_path))
    assert [(s.name, len(s.texts)) for s in world.subjects] == [("x", 2), ("y", 2), ("z", 2)]
    with pytest.raises(StudyError, match="no such file"):
        world_for(Study.from_text(PAIRS, folder=tmp_path / "elsewhere"))


@pytest.mark.parametrize("name", ["subject", "item", "judge", "discrimination", "facet", "step"])
def test_negative_spread_is_refused(name: str) -> None:
    with pytest.raises(DesignError, match=f"{name} must be 0 or more, got -1"):
        Spread(**{name: -1})
