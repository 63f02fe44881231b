"""From a study through real plans and built-in instruments to tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from psymetric.administration.administer import Responses, administer
from psymetric.administration.tables import responses_frame, to_table
from psymetric.data.pairs import PairTable
from psymetric.data.responses import ResponseTable
from psymetric.design.plan import Plan, plan
from psymetric.design.study import Study
from psymetric.errors import DataError
from psymetric.instruments.schema import Inventory
from psymetric.providers.base import Prompt
from psymetric.providers.scripted import Scripted

MODELS = "[{name: m1, provider: scripted, replies: [x]}, {name: m2, provider: scripted, replies: [x]}]"
TEXTS = 5


def planned(folder: Path, text: str) -> Plan:
    lines = [json.dumps({"id": f"c{i}", "text": f"conversation {i}\nA) not an option"}) for i in range(TEXTS)]
    (folder / "texts.jsonl").write_text("\n".join(lines))
    return plan(Study.from_text(f"study: test\n{text}", folder=folder))


def asked(folder: Path, made: Plan, **answers: Any) -> Responses:
    providers = {name: Scripted(answer) for name, answer in answers.items()}
    return administer(made, store=folder / "run.db", providers=providers, progress=False)


def agree(prompt: Prompt) -> str:
    """The label of the highest category, wherever it stands."""
    return f"{prompt.labels[prompt.values.index(max(prompt.values))]})"


def test_reverse_keyed_items_are_turned_round(tmp_path: Path) -> None:
    made = planned(
        tmp_path,
        f"instrument: big-five-20\nsubjects: {MODELS}\n"
        "facets: {template: all, order: [original, reversed], label: [letters, numbers], occasion: 2}",
    )
    responses = asked(tmp_path, made, m1=agree, m2=agree)
    table = to_table(made, responses.frame)
    assert isinstance(table, ResponseTable)
    assert isinstance(made.instrument, Inventory)
    assert table.n_rows == len(made)
    # Whoever agrees with everything, in every wording, order and label, is high on half the items and low on the rest.
    for item in made.instrument.items:
        at = table.codes["item"] == table.levels["item"].index(item.id)
        assert set(table.response[at]) == {4 if item.key == 1 else 0}
    assert table.categories == (1, 2, 3, 4, 5)
    assert set(table.facets) >= {"subject", "item", "template", "order", "label", "occasion"}
    assert "replacement" not in table.facets
    assert table.levels["subject"] == ("m1", "m2")
    assert table.dimension is not None


def rubric(folder: Path, more: str = "") -> Plan:
    return planned(
        folder,
        f"instrument: empathy-rubric\njudges: {MODELS}\nsubjects: {{from: texts.jsonl, id: id, text: text}}\n{more}",
    )


def test_non_responses_reach_the_table_as_typed_missing_rows(tmp_path: Path) -> None:
    made = rubric(tmp_path)
    responses = asked(tmp_path, made, m1=agree, m2=["I'm sorry, I can't rate this."])
    table = to_table(made, responses.frame)
    assert table.n_rows == len(made) // 2
    assert table.missing["reason"].value_counts().to_dict() == {"refusal": len(made) // 2}
    assert set(table.missing["judge"]) == {"m2"}
    assert set(table.response) == {2}


def test_distributions_weigh_one_answer_in_all(tmp_path: Path) -> None:
    made = rubric(tmp_path, "readout: logprob")

    def unsure(prompt: Prompt) -> Mapping[str, float]:
        chances = {2: 0.5, 1: 0.3, 0: 0.2}
        return {label: chances[value] for label, value in zip(prompt.labels, prompt.values, strict=True)}

    responses = asked(tmp_path, made, m1=unsure, m2=unsure)
    weighted = to_table(made, responses.frame)
    assert weighted.n_rows == 3 * len(made)
    assert weighted.weight.sum() == pytest.approx(len(made))
    for category, chance in enumerate((0.2, 0.3, 0.5)):
        assert weighted.weight[weighted.response == category] == pytest.approx(chance)
    mode = to_table(made, responses.frame, distribution="mode")
    assert mode.n_rows == len(made)
    assert set(mode.response) == {2}


def test_left_is_always_the_text_shown_first(tmp_path: Path) -> None:
    made = planned(
        tmp_path,
        f"instrument: pairwise-empathy\njudges: {MODELS}\nsubjects: {{from: texts.jsonl, id: id, text: text}}\n",
    )

    def first(prompt: Prompt) -> str:
        return prompt.labels[0]

    def lower_number(prompt: Prompt) -> str:
        shown = [line.split()[-1] for line in prompt.messages[-1][1].splitlines() if line.startswith("conversation")]
        return prompt.labels[0] if shown[0] < shown[1] else prompt.labels[1]

    responses = asked(tmp_path, made, m1=first, m2=lower_number)
    table = to_table(made, responses.frame)
    assert isinstance(table, PairTable)
    names = table.levels["item"]
    judges = [table.levels["judge"][code] for code in table.codes["judge"]]
    left, right = ([names[code] for code in table.codes[side]] for side in ("left", "right"))
    for judge, a, b, outcome in zip(judges, left, right, table.response, strict=True):
        assert outcome == (0 if judge == "m1" or a < b else 1)
    # Both orders of every pair: each text stands first as often as it stands second.
    assert sorted(left) == sorted(right)


def test_part_of_a_plan_may_be_measured(tmp_path: Path) -> None:
    made = rubric(tmp_path, "budget: {calls: 12}")
    responses = asked(tmp_path, made, m1=agree, m2=agree)
    assert responses.counts == {"answered": 12, "budget": len(made) - 12}
    table = to_table(made, responses_frame(tmp_path / "run.db", made))
    assert table.n_rows == 12
    assert table.missing["reason"].value_counts().to_dict() == {"budget": len(made) - 12}


def test_plan_written_and_read_again_continues_its_run(tmp_path: Path) -> None:
    made = rubric(tmp_path)
    made.write(tmp_path / "plan.parquet")
    first = asked(tmp_path, made, m1=agree, m2=agree)
    again = asked(tmp_path, Plan.read(tmp_path / "plan.parquet"), m1=["0"], m2=["0"])
    assert again.counts == {"answered": len(made)}
    assert again.frame["text"].tolist() == first.frame["text"].tolist()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda frame: frame.drop(columns="category"), "the frame has no column 'category'"),
        (lambda frame: frame.assign(key="x"), r"30 of 30 rows are not of this plan, first at row 0"),
        (lambda frame: frame.assign(reason="refusal"), r"none of 30 rows has an answer \(refusal 30\)"),
        (lambda frame: frame.iloc[:0], r"none of 0 rows has an answer"),
    ],
)
def test_frames_that_cannot_be_measured_are_refused(tmp_path: Path, change: Any, match: str) -> None:
    made = rubric(tmp_path)
    responses = asked(tmp_path, made, m1=agree, m2=agree)
    with pytest.raises(DataError, match=match):
        to_table(made, change(responses.frame))


def test_unknown_use_of_distributions_is_refused(tmp_path: Path) -> None:
    made = rubric(tmp_path)
    with pytest.raises(DataError, match="must be 'weights' or 'mode', got 'mean'"):
        to_table(made, made.frame, distribution="mean")  # type: ignore[arg-type]
