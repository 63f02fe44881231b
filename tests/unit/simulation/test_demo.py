from __future__ import annotations

import numpy as np
import pytest

from psymetric.design.plan import plan
from psymetric.simulation.demo import demo_parts
from psymetric.simulation.reading import Reader


def test_demo_is_small_and_connected() -> None:
    parts = demo_parts()
    assert [part.name for part in parts] == ["empathy", "big-five", "pairs"]
    plans = {part.name: plan(part.study) for part in parts}
    assert 2000 <= sum(len(found) for found in plans.values()) <= 3600
    empathy = plans["empathy"].frame
    assert {f: empathy[f].nunique() for f in ("subject", "item", "judge", "template", "order", "label")} == {
        "subject": 24, "item": 3, "judge": 4, "template": 3, "order": 2, "label": 2,
    }  # fmt: skip


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_prompt_of_the_demo_is_read_back_as_planned(place: int) -> None:
    part = demo_parts()[place]
    planned, reader = plan(part.study), Reader(part.world)
    for i in range(len(planned)):
        row, prompt = planned.frame.iloc[i], planned.prompt(i)
        sent = [{"role": role, "content": content} for role, content in prompt.messages]
        question, subjects = reader.read(row["endpoint"], sent)
        assert (question.template, question.options.order) == (row["template"], row["order"])
        if part.name == "pairs":
            shown = [row["left_text"], row["right_text"]]
            assert [s.name for s in subjects] == (shown if row["position"] == "ab" else shown[::-1])
        else:
            assert (question.item, subjects[0].name) == (row["item"], row["subject"])
        if part.name != "big-five":
            assert question.options.label_set == row["label"]


def test_demo_has_its_characters() -> None:
    judges = {judge.name: judge for judge in demo_parts()[0].world.judges}
    assert judges["harsh"].severity > 0 > judges["lenient"].severity
    assert judges["erratic"].discrimination < 1
    assert judges["refusing"].refusal == 0.04
    # The unit of the truth: without this no Rasch interval could hold it at the nominal rate.
    assert np.prod([judge.discrimination for judge in judges.values()]) == pytest.approx(1, abs=0.01)


def test_better_replies_have_higher_measures_and_seeds_differ() -> None:
    first, again, other = (demo_parts(seed=seed)[0].world.subjects for seed in (0, 0, 1))
    assert first == again
    assert first != other
    by_grade = [[s.measures[""] for s in first if s.name.endswith(f"-{grade}")] for grade in (1, 2, 3, 4)]
    assert np.all(np.diff([np.mean(values) for values in by_grade]) > 0.3)
    assert abs(sum(s.measures[""] for s in first)) < 1e-9
