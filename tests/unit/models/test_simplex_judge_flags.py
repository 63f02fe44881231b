"""Bad input of a simplex judge: what is refused, and what is said beside the numbers, never left to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from judged_candidates import COUNTS, answer_frame, answer_table, counts_table

import psymetric as ps
from psymetric.errors import DataError
from psymetric.estimation.truth_checks import truth_notes
from psymetric.models.simplex_judge import SimplexJudge

PRIOR = "driven by the prior"


def said(model: SimplexJudge, table: ps.ResponseTable, confusion: np.ndarray | None = None) -> str:
    """What the notes of a fit with these matrices would be."""
    estimates = {} if confusion is None else {"confusion": confusion, "prevalence": np.full((2, 3), 1 / 3)}
    return "\n".join(truth_notes(model, table, estimates, penalised=True))


def test_a_copy_of_the_only_judge_adds_nothing() -> None:
    frame = answer_frame(30)
    one = frame[frame["judge"] == "j0"]
    copied = answer_table(pd.concat([one, one.assign(judge="copy")]))
    for table in (answer_table(one), copied):
        assert PRIOR in said(SimplexJudge(candidate="model"), table)
    assert "gave the very labels of another" in said(SimplexJudge(candidate="model"), copied)
    assert PRIOR not in said(SimplexJudge(candidate="model"), answer_table(frame))
    twice = counts_table(np.repeat(10 * COUNTS[:, :1], 2, axis=1))
    assert "gave the very labels of another" in said(SimplexJudge(), twice)


@pytest.mark.parametrize(("n_gold", "flagged"), [(1, True), (14, True), (15, False)])
def test_a_few_gold_labels_do_not_silence_the_prior(n_gold: int, flagged: bool) -> None:
    frame = answer_frame(30, n_gold=n_gold)
    notes = said(SimplexJudge(candidate="model", gold="human"), answer_table(frame[frame["judge"] != "j1"]))
    assert (PRIOR in notes) is flagged
    assert (f"only {2 * n_gold} answers" in notes) is flagged


def test_a_class_nobody_used_and_label_sets_that_differ() -> None:
    unused, own = 10 * COUNTS, 10 * COUNTS
    unused[..., 1] = 0
    own[:, 0, 0] += own[:, 0, 1]
    own[:, 0, 1] = 0
    assert "nobody used [2]: what is said of such truths and labels is the priors' alone" in said(
        SimplexJudge(), counts_table(unused)
    )
    assert "never used a category that others use often, the first 'j0' (2)" in said(SimplexJudge(), counts_table(own))


def test_gold_against_everything_and_a_judge_worse_than_chance() -> None:
    frame = answer_frame(30, n_gold=15)
    truth = frame["answer"].map(frame[frame["judge"] == "human"].set_index("answer")["label"])
    turned = frame["label"].where(truth.isna() | (frame["judge"] == "human"), truth % 3 + 1).astype(int)
    against = answer_table(frame.assign(label=turned))
    assert "gold contradicts the judges: 0%" in said(SimplexJudge(candidate="model", gold="human"), against)
    right = 0.7 * np.eye(3) + 0.1
    matrices = np.stack([right, np.roll(right, 1, axis=1)])
    notes = said(SimplexJudge(candidate="model"), answer_table(frame[frame["judge"] != "human"]), matrices)
    assert "1 of 2 levels of 'judge' agree with the truth less often than chance would: ['j1']" in notes


def test_gold_that_contradicts_itself_is_refused() -> None:
    frame = answer_frame(4, n_gold=1)
    gold = frame[frame["judge"] == "human"].assign(label=lambda of: of["label"] % 3 + 1)
    with pytest.raises(DataError, match="with gold labels that differ, the first 'a0-0'"):
        ps.fit(SimplexJudge(candidate="model", gold="human"), answer_table(pd.concat([frame, gold])))
