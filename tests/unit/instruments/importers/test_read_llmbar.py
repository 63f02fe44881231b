"""LLMBar's verdicts: gold against the other, in both orders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError

COLUMNS = ["subset", "item", "gold", "evaluator", "method", "stage", "key", "value"]
ROWS = [
    ("Natural", 0, 1, "GPT-4", "Swap", 0, "swap = False", 1),
    ("Natural", 0, 1, "GPT-4", "Swap", 0, "swap = True", 2),
    ("Natural", 0, 1, "GPT-4", "Swap", 1, "swap = False", 1),
    ("Natural", 0, 1, "GPT-4", "Swap", 1, "swap = True", 1),
    ("Natural", 1, 2, "GPT-4", "Swap", 0, "swap = False", 2),
    ("Natural", 1, 2, "GPT-4", "Swap", 0, "swap = True", None),
]


def write(path: Path, rows: list[tuple[object, ...]]) -> Path:
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, index=False)
    return path


def test_the_one_shown_first_is_left_and_the_last_stage_counts(tmp_path: Path) -> None:
    table = ps.read_llmbar(write(tmp_path / "v.csv", ROWS))
    frame = table.to_frame()[["question", "order", "left", "right", "response"]]
    assert frame.values.tolist() == [
        ["Natural/0", "original", "gold", "other", "left"],
        ["Natural/0", "swapped", "other", "gold", "right"],
        ["Natural/1", "original", "other", "gold", "right"],
    ]
    assert table.missing[["left", "order", "reason"]].values.tolist() == [["gold", "swapped", "unparsable"]]
    first = ps.read_llmbar(write(tmp_path / "v.csv", ROWS), stage="first")
    assert first.to_frame()["response"].tolist() == ["left", "left", "right"]


def test_upstreams_own_file(tmp_path: Path) -> None:
    """A result.json, whose judge, method and subset are in its path."""
    folder = tmp_path / "LLMBar" / "Adversarial" / "GPTInst" / "evaluators" / "GPT-4" / "Swap"
    folder.mkdir(parents=True)

    def verdicts(original: object, swapped: object) -> dict[str, object]:
        return {
            "swap = False": {"completion": ["Output (a)", "stop"], "winner": original},
            "swap = True": {"completion": ["Output (a)", "stop"], "winner": swapped},
        }

    texts = {"input": "Summarize", "output_1": "x", "output_2": "y"}
    results = [
        {**texts, "label": 2, "results": [verdicts("2", "2")]},
        {**texts, "label": 1, "results": [verdicts("1", "2"), verdicts("1", None)]},
    ]
    (folder / "result.json").write_text(json.dumps(results))
    table = ps.read_llmbar(folder / "result.json")
    assert table.to_frame()["response"].tolist() == ["right", "left", "left"]
    assert table.levels["question"] == ("Adversarial/GPTInst/0", "Adversarial/GPTInst/1")
    assert (table.levels["judge"], table.levels["template"]) == (("GPT-4",), ("Swap",))
    assert len(table.missing) == 1
    (folder / "result.json").write_text(json.dumps([*results, {**texts, "label": 1, "results": []}]))
    with pytest.raises(DataError, match=r"field 'results' has another form \(1 of 3 records, first at record 2"):
        ps.read_llmbar(folder / "result.json")
    (folder / "result.json").write_text(json.dumps([{**texts, "label": 1, "results": [{"swap = False": {}}]}]))
    with pytest.raises(DataError, match="holds no verdict"):
        ps.read_llmbar(folder / "result.json")
    (tmp_path / "result.json").write_text("[]")
    with pytest.raises(DataError, match="does not lie in <subset>/evaluators/<judge>/<method>/"):
        ps.read_llmbar(tmp_path / "result.json")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("Natural", 2, 3, "GPT-4", "Swap", 0, "swap = False", 1), r"first at record 6 counting.*got \[3\.0\]"),
        (("Natural", 2, None, "GPT-4", "Swap", 0, "swap = False", 1), "field 'gold' is empty"),
        (("Natural", 2, 1, "GPT-4", "Swap", 0, "swap = Maybe", 1), r"unknown labels in 'key'.*got \['swap = Maybe'\]"),
        (("Natural", 2, 1, "GPT-4", "Swap", 0, "swap = True", 0), "outputs in 'value' other than 1 and 2"),
        (ROWS[0], "an earlier vote is repeated"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(tmp_path: Path, row: tuple[object, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ps.read_llmbar(write(tmp_path / "v.csv", [*ROWS, row]))
    with pytest.raises(DataError, match=r"stage='best' is not known: use one of \['last', 'first'\]"):
        ps.read_llmbar(tmp_path / "v.csv", stage="best")  # type: ignore[arg-type]


# Upstream's statistics.json (princeton-nlp/LLMBar, Dataset/LLMBar/<subset>/evaluators/<judge>/<method>/): right with
# the original and with the swapped order, right in both, and the same in both, of so many.
STATISTICS = {
    ("Natural", "GPT-4", "Vanilla_NoRules"): (92, 95, 92, 97, 100),
    ("Adversarial/GPTInst", "GPT-4", "Vanilla_NoRules"): (71, 70, 66, 83, 92),
    ("Adversarial/GPTOut", "GPT-4", "Vanilla_NoRules"): (35, 37, 33, 41, 47),
    ("Natural", "ChatGPT", "Vanilla_NoRules"): (79, 79, 63, 68, 100),
    ("Adversarial/GPTInst", "ChatGPT", "Vanilla_NoRules"): (24, 30, 5, 48, 92),
    ("Adversarial/GPTOut", "ChatGPT", "Vanilla_NoRules"): (20, 21, 7, 20, 47),
    ("Natural", "GPT-4", "Swap_CoT"): (94, 94, 94, 100, 100),
    ("Adversarial/GPTInst", "GPT-4", "Swap_CoT"): (80, 77, 77, 89, 92),
    ("Natural", "GPT-4", "Rating_NoRules"): (91, 89, 84, 88, 100),
    ("Natural", "Falcon", "CoT"): (49, 65, 14, 14, 100),
    ("Adversarial/GPTOut", "LLaMA2", "Swap"): (20, 22, 8, 21, 47),
}
# The same in the two subsets that the shared folder leaves out, of 46 (Manual) and 134 (Neighbor).
ELSEWHERE = {"GPT-4": 41 + 120, "ChatGPT": 22 + 98}
CONSISTENCY = {"GPT-4": 0.912, "ChatGPT": 0.611}


@pytest.mark.shared_data
def test_accuracies_and_consistency_are_upstreams(shared_data: Path) -> None:
    table = ps.read_llmbar(shared_data / "llmbar" / "llmbar_judgments.csv.gz")
    assert table.n_rows + len(table.missing) == 65 * 478  # judges with their methods × pairs in two orders
    assert table.missing["reason"].unique().tolist() == ["unparsable"]
    frame = table.to_frame()
    chosen = np.where(frame["response"] == "left", frame["left"], frame["right"])
    frame = frame.assign(chosen=chosen)
    for (subset, judge, method), numbers in STATISTICS.items():
        rows = frame[(frame["subset"] == subset) & (frame["judge"] == judge) & (frame["template"] == method)]
        wide = rows.pivot(index="question", columns="order", values="chosen")
        right = wide == "gold"
        same = int((wide["original"] == wide["swapped"]).sum())
        found = (
            int(right["original"].sum()),
            int(right["swapped"].sum()),
            int(right.all(axis=1).sum()),
            same,
            len(wide),
        )
        assert found == numbers, (subset, judge, method)
    for judge, elsewhere in ELSEWHERE.items():
        same = sum(numbers[3] for key, numbers in STATISTICS.items() if key[1:] == (judge, "Vanilla_NoRules"))
        assert round((same + elsewhere) / 419, 3) == CONSISTENCY[judge]
