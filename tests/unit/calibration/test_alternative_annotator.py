"""The alternative annotator test: published numbers, a naive second implementation, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import psymetric as ps
from psymetric.errors import DataError

# Labels of the MT-Bench example of Calderon et al. (github.com/nitaytech/AltTest, data/mtbench, commit cc1d1f4; votes
# of Zheng et al. 2023, CC BY 4.0): question and pair of models (a alpaca, c claude, 4 gpt-4, l llama, v vicuna,
# beside gpt-3.5), then the verdicts of both turns, A or B for the first or second model, T a tie.
VERDICTS = {
    "author_0": "82l BA 85c TT 85v TT 86a BB 91l AA 91v TA 92c AB 92v BB 96a BT 974 BB 99c BT 104v TA 105v TT 106v TT "
    "107c TT 114a TT 115a BB 115c BB 1174 BB 117v AA 118a BT 130l AA 131l AA 133v TA 134a TB 137a BB 138a BT 1384 TT "
    "140l AA 141l AA 149l AA 150v BB 156v BB 158a TB 159a BT 159v TB 160v TA",
    "author_4": "82l AA 82v AB 84a BB 874 BT 91v BA 91l AA 92c AA 924 BA 934 BT 95c AB 100c BB 100a AT 100v TT 1034 BB "
    "103v TA 104v AA 1044 TA 1054 TT 105v TT 109c TT 109v BT 110c TA 112c TA 114a BB 1174 BB 118a BT 118l AA 1234 TB "
    "133l AA 133v AA 134a TB 135a BB 137a BB 138a BB 1384 AA 138l AA 140l AA 149l AA 150v BA 155v BA 158a BB 160v TT",
    "expert_24": "82v TT 84a TB 85c TA 85v AA 86a BB 874 TA 91v BA 924 BA 92v TB 934 TB 95c AB 96a BB 974 BB 99c BT "
    "100a AB 100c BB 100v AA 1034 BB 103v TA 1044 TA 1054 BB 106v TT 107c TT 109c TT 109v BT 110c TT 112c TT 115c BB "
    "115a BB 117v AA 118l AT 1234 TT 130l AA 131l AA 133l AA 135a BB 138l AA 1384 TB 141l AA 150v AB 155v TA 156v TB "
    "159a BB 159v TT",
    "gemini_flash": "100a BB 100c BB 100v BB 1034 BB 103v BB 1044 BB 104v AA 1054 AA 105v AA 106v BB 107c AA 109c AA "
    "109v BB 110c AA 112c TT 114a BB 115a BB 115c AA 1174 AA 117v AA 118a AA 118l AA 1234 BB 130l AA 131l AA 133l AA "
    "133v AA 134a BB 135a BB 137a BB 138a BB 1384 BB 138l AA 140l AA 141l AA 149l AA 150v BB 155v AA 156v BB 158a BB "
    "159a BB 159v BB 160v BB 82l BA 82v BB 84a BB 85c BB 85v AA 86a BB 874 BB 91l AB 91v BB 92c AA 924 BB 92v BA "
    "934 BB 95c BB 96a BB 974 BB 99c AA",
    "gemini_pro": "100a BB 100c BB 100v BB 1034 BB 103v BB 1044 AA 104v AA 1054 TT 105v AA 106v TT 107c AA 109c BB "
    "109v BB 110c AA 112c TT 114a BB 115a BB 115c AA 1174 AA 117v AA 118a AB 118l BA 1234 TB 130l AA 131l AA 133l AA "
    "133v AA 134a BB 135a BB 137a BB 138a BB 1384 AA 138l AA 140l AA 141l AA 149l AA 150v BB 155v AA 156v AA 158a BB "
    "159a BB 159v BB 160v BB 82l AA 82v BB 84a BB 85c AB 85v BB 86a BB 874 BB 91l AA 91v AA 92c AA 924 AA 92v BB "
    "934 BB 95c BB 96a BB 974 BB 99c AA",
}
PUBLISHED = {"gemini_flash": (0.00, 0.72), "gemini_pro": (0.00, 0.76)}
"""Winning rate and average advantage probability at epsilon .2, as the authors' notebook prints them."""


def mtbench(*, clustered=False):
    rows = [
        (pair[:-1] if clustered else pair + turn, pair + turn, judge, verdict)
        for judge, text in VERDICTS.items()
        for pair, both in zip(text.split()[::2], text.split()[1::2], strict=True)
        for turn, verdict in zip("12", both, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["question", "instance", "judge", "verdict"])
    return ps.ResponseTable.from_frame(
        frame, response="verdict", subject="question", item="instance", facets="judge", categories=["A", "T", "B"]
    )


@pytest.fixture(scope="module")
def published():
    return ps.alternative_annotator_test(mtbench(), list(PUBLISHED), epsilon=0.2)


def test_published_example(published):
    found = published.frame.set_index("judge")
    for judge, (omega, rho) in PUBLISHED.items():
        assert round(found.loc[judge, "omega"], 2) == omega
        assert round(found.loc[judge, "rho"], 2) == rho
    assert list(published.people.loc[published.people["judge"] == "gemini_pro", "n_units"]) == [74, 84, 88]
    assert "gemini_pro: does not pass, wins against 0% of 3 people; rho 0.76" in str(published)
    assert "does not pass" in published._repr_html_()


def test_instances_of_one_question_are_one_cluster(published):
    clustered = ps.alternative_annotator_test(mtbench(clustered=True), list(PUBLISHED), epsilon=0.2).people
    np.testing.assert_allclose(clustered["difference"], published.people["difference"])
    assert (clustered["n_subjects"] < published.people["n_subjects"]).all()
    # The two turns of a question were mostly judged alike, which makes each worth less than one.
    assert clustered["se"].mean() > published.people["se"].mean()


def world(*, subjects=40, items=("i1",), people="abcd", judges=("llm",), missing=0.2, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{s:03d}", item, who, int(np.clip(np.round(2.5 + theta + rng.normal(0, 0.7)), 1, 4)))
        for s, theta in enumerate(rng.normal(0, 1, subjects))
        for item in items
        for who in (*people, *judges)
        if rng.random() > missing
    ]
    return pd.DataFrame(rows, columns=["s", "item", "judge", "x"])


def table_of(frame, **options):
    return ps.ResponseTable.from_frame(frame, response="x", subject="s", item="item", facets="judge", **options)


SCORES = {
    "nominal": lambda label, others: np.mean([label == other for other in others]),
    "ordinal": lambda label, others: -np.mean([abs(label - other) for other in others]),
    "interval": lambda label, others: -np.sqrt(np.mean([(label - other) ** 2 for other in others])),
}


def naive(frame, judge, people, score, epsilon):
    """The procedure of section 3 of the paper, instance by instance."""
    said = {key: dict(zip(part["judge"], part["x"], strict=True)) for key, part in frame.groupby(["s", "item"])}
    result = {}
    for person in people:
        machine, human = [], []
        for labels in said.values():
            others = [labels[p] for p in people if p != person and p in labels]
            if person in labels and judge in labels and others:
                mine, its = score(labels[person], others), score(labels[judge], others)
                machine.append(its >= mine - 1e-12)
                human.append(mine >= its - 1e-12)
        signs = np.array(human, float) - np.array(machine, float)
        p = stats.ttest_1samp(signs, epsilon, alternative="less").pvalue
        result[person] = (len(signs), np.mean(machine), np.mean(human), p)
    return result


@pytest.mark.parametrize("metric", list(SCORES))
def test_against_a_naive_implementation(metric):
    frame = world()
    result = ps.alternative_annotator_test(table_of(frame), "llm", metric=metric, epsilon=0.15, min_units=2)
    expected = naive(frame, "llm", "abcd", SCORES[metric], 0.15)
    for row in result.people.itertuples():
        assert (row.n_units, row.judge_share, row.person_share, row.p) == pytest.approx(expected[row.person])
    p = np.sort([values[3] for values in expected.values()])
    allowed = np.arange(1, 5) / 4 * 0.05 / (1 + 1 / 2 + 1 / 3 + 1 / 4)
    wins = max((k + 1 for k in range(4) if p[k] <= allowed[k]), default=0)
    assert result.frame["omega"].item() == wins / 4
    assert result.frame["rho"].item() == pytest.approx(np.mean([values[1] for values in expected.values()]))


def test_numbers_of_categories_decide_the_interval_metric():
    frame = world(missing=0.0)
    frame["x"] = frame["x"].map({1: 0, 2: 10, 3: 11, 4: 50})
    table = table_of(frame, categories=[0, 10, 11, 50])
    result = ps.alternative_annotator_test(table, "llm", metric="interval", min_units=2)
    expected = naive(frame, "llm", "abcd", SCORES["interval"], 0.1)
    assert list(result.people["judge_share"]) == pytest.approx([values[1] for values in expected.values()])


def test_groups_are_one_family_of_tests():
    frame = world(items=("i1", "i2"), missing=0.0, subjects=60)
    result = ps.alternative_annotator_test(table_of(frame), "llm", by="item", epsilon=0.3)
    one = ps.alternative_annotator_test(
        table_of(frame[frame["item"] == "i2"]), "llm", epsilon=0.3
    )  # the same tests, in a family of four
    both, alone = result.people[result.people["group"] == "i2"].reset_index(drop=True), one.people
    np.testing.assert_allclose(both["p"], alone["p"])
    assert (both["p_adjusted"] >= alone["p_adjusted"] - 1e-12).all()
    adjusted = stats.false_discovery_control(result.people.loc[result.people["group"].notna(), "p"], method="by")
    np.testing.assert_allclose(result.people.loc[result.people["group"].notna(), "p_adjusted"], adjusted)
    assert list(result.frame["group"]) == [None, "i1", "i2"]


def test_clusters_give_the_ratio_estimator():
    frame = world(items=("i1", "i2", "i3"), missing=0.3)
    result = ps.alternative_annotator_test(table_of(frame), "llm", min_units=2).people.set_index("person")
    said = {key: dict(zip(part["judge"], part["x"], strict=True)) for key, part in frame.groupby(["s", "item"])}
    sums = {}
    for (subject, _), labels in said.items():
        others = [labels[p] for p in "bcd" if p in labels]
        if {"a", "llm"} <= set(labels) and others:
            gap = np.sign(SCORES["nominal"](labels["a"], others) - SCORES["nominal"](labels["llm"], others))
            sums.setdefault(subject, []).append(gap)
    total = np.array([sum(values) for values in sums.values()])
    size = np.array([len(values) for values in sums.values()])
    mean, n = total.sum() / size.sum(), len(size)
    se = np.sqrt(n / (n - 1) * np.sum((total - mean * size) ** 2)) / size.sum()
    assert result.loc["a", ["difference", "se", "n_subjects"]].tolist() == pytest.approx([mean, se, n])


def test_epsilon_needed_is_where_it_passes():
    table = table_of(world(missing=0.0, subjects=60))
    needed = ps.alternative_annotator_test(table, "llm").frame["epsilon_needed"].item()
    for epsilon, passes in [(needed + 1e-3, True), (needed - 1e-3, False)]:
        assert ps.alternative_annotator_test(table, "llm", epsilon=epsilon).frame["passes"].item() is passes


def test_a_copy_of_the_crowd_and_a_contrarian():
    rng = np.random.default_rng(2)
    rows = []
    for s in range(60):
        truth = rng.integers(0, 2)
        people = [int(truth if rng.random() < 0.8 else 1 - truth) for _ in range(5)]
        rows += [(s, "i", f"p{k}", x) for k, x in enumerate(people)]
        rows += [(s, "i", "copy", round(np.mean(people))), (s, "i", "contrary", 1 - round(np.mean(people)))]
    frame = pd.DataFrame(rows, columns=["s", "item", "judge", "x"])
    result = ps.alternative_annotator_test(table_of(frame), ["copy", "contrary"])
    found = result.frame.set_index("judge")
    assert found["omega"].tolist() == [1.0, 0.0]
    assert found.loc["copy", "p_pass"] > 0.99 > found.loc["contrary", "p_pass"]
    assert found.loc["copy", "rho_lower"] > found.loc["contrary", "rho_upper"]
    assert set(result.people["person"]) == {f"p{k}" for k in range(5)}


def test_constant_labels_have_no_standard_error():
    frame = world(missing=0.0, subjects=40)
    frame["x"] = 2
    result = ps.alternative_annotator_test(table_of(frame, categories=[1, 2, 3]), "llm", epsilon=0.1)
    assert result.people["p"].tolist() == pytest.approx([0.9**40] * 4)  # a person ahead by a tenth wins none
    assert "every subject says the same in 4 tests" in " ".join(result.notes)


def test_people_with_few_units_are_named():
    frame = world(missing=0.0, subjects=50)
    few = frame[(frame["judge"] != "d") | (frame["s"] < "s005")]
    result = ps.alternative_annotator_test(table_of(few), "llm")
    assert set(result.people["person"]) == {"a", "b", "c"}
    assert "['d'] not replaced by 'llm': fewer than 30 units" in " ".join(result.notes)


def test_few_subjects_are_said():
    table = table_of(world(missing=0.0, subjects=12))
    assert "test='exact' holds its level" in " ".join(ps.alternative_annotator_test(table, "llm", min_units=5).notes)
    exact = ps.alternative_annotator_test(table, "llm", min_units=5, test="exact")
    assert exact.notes == ()
    assert (exact.people["p"] > 0.05).any()


def test_ties_are_said():
    frame = world(missing=0.0, subjects=60)
    frame["x"] = frame["x"].where(frame["s"] < "s006", 2)
    notes = " ".join(ps.alternative_annotator_test(table_of(frame), "llm").notes)
    assert "fewer than 10 units were won by either side, where Student's t rejects too often" in notes


FRAME = world(missing=0.0)
APART = FRAME[FRAME["judge"].isin(["b", "c"])].assign(item="j")
TWICE = pd.concat([FRAME, FRAME[FRAME["judge"] == "llm"]])


@pytest.mark.parametrize(
    ("frame", "options", "says"),
    [
        (FRAME, {"tested": "lm"}, r"no judge is named 'lm'; did you mean 'llm'"),
        (FRAME, {"tested": "llm", "people": ["a", "z"]}, r"no judge is named 'z'"),
        (FRAME, {"tested": "llm", "people": ["a", "llm"]}, r"\['llm'\] would be compared with itself"),
        (FRAME, {"tested": "llm", "people": ["a"]}, r"1 person, \['a'\]; people disagree only where"),
        (FRAME, {"tested": "llm", "judge": "jugde"}, r"no facet 'jugde'; did you mean 'judge'"),
        (FRAME, {"tested": "llm", "by": "judge"}, r"judge='judge' cannot be what is labelled as well"),
        (FRAME, {"tested": "llm", "by": "subject"}, r"unit= names the subject and by= does not"),
        (FRAME, {"tested": "llm", "unit": ["item"]}, r"unit= names the subject and by= does not"),
        (FRAME, {"tested": "llm", "epsilon": 1.5}, r"epsilon=1.5 is not a difference of shares"),
        (FRAME, {"tested": "llm", "rate": 0}, r"rate=0 is not a false discovery rate"),
        (FRAME, {"tested": "llm", "level": 95}, r"level=95 is not a coverage"),
        (FRAME, {"tested": "llm", "draws": 0}, r"draws=0 samples"),
        (FRAME, {"tested": "llm", "min_units": 1}, r"min_units=1; a person needs at least 2"),
        (FRAME, {"tested": "llm", "min_units": 41}, r"nobody shares 41 units .* got 40 at most"),
        (TWICE, {"tested": "llm"}, r"'llm' labelled 40 things more than once, first \{'subject': 's000'"),
        (TWICE.assign(judge=TWICE["judge"].replace("b", "a")), {"tested": "llm"}, r"labelled the same thing before"),
        (
            FRAME.assign(s=FRAME["s"].where(FRAME["judge"] != "llm", "other" + FRAME["s"])),
            {"tested": "llm"},
            r"'llm' labelled nothing that people labelled",
        ),
        (
            FRAME.assign(s=FRAME["s"].where(FRAME["judge"] == "llm", FRAME["judge"] + FRAME["s"])),
            {"tested": "llm"},
            r"no two of 4 people labelled the same thing",
        ),
        (
            pd.concat([FRAME[FRAME["judge"].isin(["a", "llm"])], APART]),
            {"tested": "llm"},
            r"shares 40 things with people, each labelled by one person only",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_tested_is_said(frame, options, says):
    options = dict(options)
    with pytest.raises(DataError, match=says):
        ps.alternative_annotator_test(table_of(frame), options.pop("tested"), **options)


def test_a_frame_is_not_a_table():
    with pytest.raises(DataError, match=r"got a DataFrame; make a table of it with ResponseTable.from_frame"):
        ps.alternative_annotator_test(FRAME, "llm")


def test_exact_refuses_clusters_and_people_have_no_weights():
    with pytest.raises(DataError, match="takes units for independent"):
        ps.alternative_annotator_test(table_of(world(items=("i", "j"))), "llm", test="exact")
    with pytest.raises(DataError, match="weights of people other than 0 and 1"):
        ps.alternative_annotator_test(table_of(FRAME.assign(w=0.5), weight="w"), "llm")


def test_missing_ratings_are_no_ratings():
    frame = world(missing=0.0)
    holes = frame.assign(x=frame["x"].astype(float).where(np.arange(len(frame)) % 11 > 0))
    left_out = ps.alternative_annotator_test(table_of(holes.dropna().astype({"x": int})), "llm").people
    pd.testing.assert_frame_equal(ps.alternative_annotator_test(table_of(holes), "llm").people, left_out)
