"""Labels that cannot tell truths from judges, and judges that deserve a look: refused or said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from labelled_world import confusion, drawn, table_of

import psymetric as ps
from psymetric.errors import IdentificationError
from psymetric.estimation.truth_checks import agreement_beyond_chance

PREVALENCE = np.array([0.6, 0.4])


def fitted(frame: pd.DataFrame, *, engine=None, **settings) -> ps.Fit:
    return ps.fit(ps.DawidSkene(**settings), table_of(frame), engine=engine)


def noted(fit: ps.Fit, text: str) -> bool:
    return any(text in note for note in fit.notes)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return drawn(PREVALENCE, confusion([0.9, 0.8, 0.7, 0.75], 2), 150, seed=1)[0]


def test_one_judge_without_gold(frame) -> None:
    alone = frame[frame["judge"] == "j000"]
    with pytest.raises(IdentificationError, match=r"no subject has two labels.*gold=.*MAP\(\) or NUTS\(\)"):
        fitted(alone)
    found = fitted(alone, engine=ps.MAP())
    assert noted(found, "prevalence, errors and truths are what the priors say of them, however many subjects")
    # However many: the interval of the judge's error does not shrink with the table.
    many = drawn(PREVALENCE, confusion([0.9], 2), 15_000, seed=1)[0]
    few, more = (fit.estimates("confusion")["se"].mean() for fit in (found, fitted(many, engine=ps.MAP())))
    assert more > few / 2


def test_two_judges_without_gold(frame) -> None:
    with pytest.raises(IdentificationError, match="two labels of each subject by 2 levels of 'judge' fit many"):
        fitted(frame[frame["judge"] < "j002"])


def test_labels_that_leave_a_direction_open() -> None:
    """Three judges in pairs: three means and three covariances for seven parameters."""
    frame = drawn(PREVALENCE, confusion([0.8, 0.75, 0.7], 2), 600, seed=1)[0]
    absent = frame["subject"].str[1:].astype(int) % 3
    pairs = frame[frame["judge"].str[1:].astype(int) != absent]
    with pytest.raises(IdentificationError, match=r"do not determine 1 direction.*judge 'j00\d' on true \d as \d"):
        fitted(pairs)


def test_a_category_that_nobody_used(frame) -> None:
    table = table_of(frame, categories=(0, 1, 2))
    with pytest.raises(IdentificationError, match=r"nobody used 1 of 3 categories, the first 2: nothing determines"):
        ps.fit(ps.DawidSkene(), table)
    found = ps.fit(ps.DawidSkene(), table, engine=ps.MAP())
    assert noted(found, "nobody used [2]: what is said of such truths and labels is the priors' alone")
    assert found.parameters["prevalence"][2] < 0.02


def test_a_judge_worse_than_chance(frame) -> None:
    turned = frame.assign(label=np.where(frame["judge"] == "j003", 1 - frame["label"], frame["label"]))
    found = fitted(turned)
    assert noted(found, "1 of 4 levels of 'judge' agree with the truth less often than chance would: ['j003']")
    assert not noted(fitted(frame), "less often than chance")


def test_agreement_beyond_chance() -> None:
    always_first = np.array([[1.0, 0.0], [1.0, 0.0]])
    matrices = np.stack([np.eye(2), always_first, np.eye(2)[::-1]])
    # Right always, of chance .52; by chance alone; never, of chance .48.
    np.testing.assert_allclose(agreement_beyond_chance(matrices, PREVALENCE), [0.48, 0.0, -0.48], atol=1e-12)


def test_a_copy_of_a_judge(frame) -> None:
    copy = frame[frame["judge"] == "j001"].assign(judge="j009").sample(frac=1, random_state=1)
    found = fitted(pd.concat([frame, copy]))
    assert noted(found, "1 of 5 levels of 'judge' gave the very labels of another, the first 'j009' those of 'j001'")
    assert not noted(fitted(frame), "very labels")


def test_a_judge_with_fewer_categories() -> None:
    frame = drawn(np.array([0.4, 0.3, 0.3]), confusion([0.8] * 4, 3), 150, seed=1)[0]
    fewer = frame.assign(label=np.where(frame["judge"] == "j002", np.minimum(frame["label"], 1), frame["label"]))
    assert noted(
        fitted(fewer), "1 of 4 levels of 'judge' never used a category that others use often, the first 'j002'"
    )
    assert not noted(fitted(frame), "never used a category")


def test_gold_against_all(frame) -> None:
    _, truth = drawn(PREVALENCE, confusion([0.9, 0.8, 0.7, 0.75], 2), 150, seed=1)
    subjects = frame["subject"].unique()
    gold = pd.DataFrame({"subject": subjects, "judge": "expert", "label": truth})[:60]
    right, wrong = gold, gold.assign(label=1 - gold["label"])
    assert not noted(fitted(pd.concat([frame, right]), gold="expert"), "gold contradicts")
    found = fitted(pd.concat([frame, wrong]), gold="expert")
    assert noted(found, "gold contradicts the judges: ")
    assert noted(found, "4 of 4 levels of 'judge' agree with the truth less often than chance would")
    one_class = gold[gold["label"] == 0]
    assert noted(fitted(pd.concat([frame, one_class]), gold="expert"), "no gold label of [1] among those of")
    apart = gold.assign(subject=gold["subject"] + "x")
    assert noted(fitted(pd.concat([frame, apart]), gold="expert"), "gold tells nothing of the errors of judges")


def test_who_named_the_truths(frame) -> None:
    assert noted(fitted(frame), "which are named so that most labels agree with them")
    assert noted(fitted(frame, engine=ps.MAP()), "by the priors, under which judges are better than chance")


def test_a_truth_that_no_subject_has() -> None:
    """One judge alone says 2, of one subject that others call 1: the truth 2 may end up without subjects."""
    frame = drawn(PREVALENCE, confusion([0.9, 0.85, 0.8, 0.8], 2), 200, seed=2)[0]
    gold = pd.DataFrame({"subject": frame["subject"].unique(), "judge": "expert", "label": 0})
    gold["label"] = frame.groupby("subject")["label"].median().round().astype(int).to_numpy()
    frame.loc[0, "label"] = 2
    found = fitted(pd.concat([frame, gold]), gold="expert")
    assert noted(found, "nothing determines 4 of 13 rows of probabilities, to which no label belongs: judge 'j000' on")
    assert np.isfinite(found.parameters["confusion"]).all()
    frame = found.estimates("confusion")
    assert (frame.loc[frame["truth"] == 2, "note"] == "no standard error: see the notes of the fit").all()
