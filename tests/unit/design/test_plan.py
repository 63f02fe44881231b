"""From a study to the requests: what is asked of whom, once, balanced, linked and repeatable."""

from __future__ import annotations

import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from psymetric.design import Plan, Study, plan
from psymetric.design.fences import unfence
from psymetric.errors import DesignError, StoreError, StudyError
from psymetric.providers.base import request_key


def judge(name: str, extra: str = "") -> str:
    return f"{{name: {name}, base_url: 'http://127.0.0.1:1/v1', model: m{extra}}}"


def rubric(extra: str = "", judges: int = 2, texts: str = "{from: support-conversations, text: conversation}") -> Study:
    panel = ", ".join(judge(f"j{i}") for i in range(judges))
    return Study.from_text(f"study: s\ninstrument: empathy-rubric\nsubjects: {texts}\njudges: [{panel}]\n{extra}")


def pairs(extra: str = "", more: str = "") -> Study:
    return Study.from_text(
        f"study: s\ninstrument: pairwise-empathy\njudges: [{judge('j')}]\n"
        f"subjects: {{from: support-conversations, text: conversation{more}}}\n{extra}"
    )


def inventory(extra: str = "") -> Study:
    return Study.from_text(
        f"study: s\ninstrument: big-five-20\nsubjects: [{judge('a')}, {judge('b', ', temperature: 0.9')}]\n{extra}"
    )


def content(laid_out: Plan) -> set[str]:
    return set(laid_out.frame["key"])


def test_a_full_rubric_design_asks_everything_once() -> None:
    laid_out = plan(rubric("facets: {template: all, order: cyclic, label: [letters, scores], occasion: 2}"))
    columns = ["subject", "item", "judge", "template", "order", "label", "occasion"]
    assert laid_out.n_rows == len(laid_out) == 24 * 3 * 2 * 3 * 3 * 2 * 2
    assert not laid_out.frame.duplicated(columns).any()
    assert laid_out.frame["key"].is_unique
    assert laid_out.frame[["model", "persona", "left", "right", "position", "trait"]].isna().all(axis=None)
    assert (laid_out.frame["endpoint"] == laid_out.frame["judge"]).all()


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_order() -> None:
    first, again, other = plan(rubric(), seed=1), plan(rubric(), seed=1), plan(rubric(), seed=2)
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert first.hash == again.hash != other.hash


def test_every_row_gives_the_prompt_and_key_it_stands_for() -> None:
    laid_out = plan(inventory("facets: {template: all, order: reversed, replacement: all, occasion: 2}"))
    for i in range(0, len(laid_out), 97):
        row = laid_out.frame.iloc[i]
        prompt, endpoint = laid_out.prompt(i), laid_out.endpoint(i)
        assert endpoint.name == row["subject"] == row["model"] == row["endpoint"]
        assert prompt.temperature == (0.9 if endpoint.name == "b" else 0.0)
        assert prompt.seed == row["seed"]
        assert request_key(prompt, endpoint, row["occasion"]) == row["key"]
        text = next(item.text for item in laid_out.instrument.items if item.id == row["item"])  # type: ignore[union-attr]
        assert text in prompt.messages[-1][1]


def test_rubric_rows_show_their_own_text() -> None:
    laid_out = plan(rubric())
    assert laid_out.texts is not None
    texts = dict(zip(laid_out.texts.ids, laid_out.texts.texts, strict=True))
    for i in range(0, len(laid_out), 7):
        assert unfence(laid_out.prompt(i).messages[-1][1]) == {"text": texts[laid_out.frame["subject"].iloc[i]]}


def test_personas_make_subjects_and_reach_the_prompt() -> None:
    laid_out = plan(inventory("personas: [{name: plain}, {name: shy, prompt: You are shy.}]"))
    assert set(laid_out.frame["subject"]) == {"a/plain", "a/shy", "b/plain", "b/shy"}
    shy = int(np.flatnonzero(laid_out.frame["persona"] == "shy")[0])
    plain = int(np.flatnonzero(laid_out.frame["persona"] == "plain")[0])
    assert laid_out.prompt(shy).messages[0] == ("system", "You are shy.")
    assert laid_out.prompt(plain).messages[0][0] == "user"


def test_traits_and_judges_of_an_inventory() -> None:
    frame = plan(inventory()).frame
    assert set(frame["trait"]) == {"extraversion", "agreeableness", "conscientiousness", "neuroticism", "openness"}
    assert frame["judge"].isna().all()


def test_a_full_pair_design_compares_all_texts_in_both_positions() -> None:
    frame = plan(pairs()).frame
    met = {frozenset(pair) for pair in zip(frame["left"], frame["right"], strict=True)}
    assert met == {frozenset(pair) for pair in combinations(sorted(set(frame["left"])), 2)}
    assert len(frame) == 2 * 276
    assert frame.groupby(["left", "right"])["position"].nunique().eq(2).all()
    assert frame["subject"].isna().all()


def test_position_decides_what_is_shown_first() -> None:
    laid_out = plan(pairs())
    assert laid_out.texts is not None
    texts = dict(zip(laid_out.texts.ids, laid_out.texts.texts, strict=True))
    for i in range(0, len(laid_out), 37):
        row = laid_out.frame.iloc[i]
        shown = unfence(laid_out.prompt(i).messages[-1][1])
        first = row["left"] if row["position"] == "ab" else row["right"]
        assert shown["first"] == texts[first]


@pytest.mark.parametrize("calls", [48, 300])
def test_a_fractional_pair_design_compares_all_texts_alike(calls: int) -> None:
    frame = plan(pairs(f"design: {{kind: fractional, calls: {calls}}}")).frame
    assert len(frame) == calls
    met = pd.concat([frame["left"], frame["right"]]).value_counts()
    assert len(met) == 24
    assert met.max() - met.min() <= 2
    assert abs((frame["position"] == "ab").sum() - calls / 2) <= 1


def test_systems_are_compared_within_groups() -> None:
    frame = plan(pairs(more=", system: grade, group: situation")).frame
    assert set(frame["left"]) == {"0", "1", "2", "3"}
    assert (frame["left_text"].str.split("-").str[0] == frame["right_text"].str.split("-").str[0]).all()
    assert (frame["group"] == frame["left_text"].str.split("-").str[0]).all()
    assert len(frame) == 6 * 6 * 2


def test_texts_of_one_system_are_not_compared_and_that_is_noted() -> None:
    laid_out = plan(pairs(more=", system: grade"))
    assert laid_out.n_rows == 2 * (276 - 4 * 15)
    assert laid_out.notes == ("left out, as both texts are of one system: 60 pairs",)


def test_a_fractional_design_is_balanced_noted_and_extended_without_asking_twice() -> None:
    facets = "facets: {template: all, order: cyclic, label: [letters, numbers]}\ndesign: {kind: fractional, calls: %d}"
    small, large = plan(rubric(facets % 600)), plan(rubric(facets % 900))
    assert content(small) < content(large)
    assert small.notes == ("fractional design: 600 of the 2,592 requests of the full crossing (23.1%)",)
    counts = small.summary().groupby("facet")["rows"]
    assert (counts.max() - counts.min()).max() <= 2
    for facet, most in {"item": 1, "judge": 1, "template": 1, "order": 1, "label": 1}.items():
        within = pd.crosstab(small.frame["subject"], small.frame[facet])
        assert (within.max(axis=1) - within.min(axis=1)).max() <= most + 1


def test_more_judges_or_occasions_keep_what_was_asked() -> None:
    assert content(plan(rubric())) < content(plan(rubric(judges=3)))
    assert content(plan(rubric())) < content(plan(rubric("facets: {occasion: 2}")))


def test_more_calls_than_cells_ask_everything_and_say_so() -> None:
    laid_out = plan(rubric("design: {kind: fractional, calls: 999}"))
    assert laid_out.n_rows == 144
    assert laid_out.notes == ("calls: 999 is more than the full crossing, which is asked whole (144)",)


def test_a_linked_design_gives_each_subject_its_judges() -> None:
    laid_out = plan(rubric("design: {kind: linked, judges_per_subject: 2}", judges=4))
    assert laid_out.frame.groupby("subject")["judge"].nunique().eq(2).all()
    assert laid_out.n_rows == 24 * 2 * 3
    assert laid_out.notes == ("linked design: each subject meets 2 of 4 judges",)


def test_an_interrupted_run_has_asked_about_all_subjects_alike() -> None:
    frame = plan(rubric("facets: {template: all}")).frame
    for stop in (24, 100, 331):
        counts = frame["subject"].head(stop).value_counts()
        assert counts.max() - counts.reindex(frame["subject"].unique(), fill_value=0).min() <= 1


def test_sampling_seeds_differ_between_rows() -> None:
    frame = plan(rubric("facets: {template: all, occasion: 3}")).frame
    assert frame["seed"].is_unique
    assert frame["seed"].between(0, 2**31 - 1).all()


def test_identical_texts_have_their_own_requests(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\na,same words\nb,same words\n")
    panel = f"[{judge('j1')}, {judge('j2')}]"
    study = f"study: s\ninstrument: empathy-rubric\nsubjects: {{from: t.csv}}\njudges: {panel}\nreadout: logprob"
    assert plan(Study.from_text(study, folder=tmp_path)).frame["key"].is_unique


def test_replicates_at_temperature_zero_are_remarked_upon() -> None:
    note = "occasions at temperature 0 show only how far the server repeats itself, not how sure the model is"
    assert plan(rubric("facets: {occasion: 2}")).notes == (note,)
    assert plan(rubric("facets: {occasion: 2}\ntemperature: 1")).notes == ()


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (rubric("design: {kind: fractional, calls: 20}"), "calls: 20 leaves some of 24 subjects unasked; raise calls"),
        (
            rubric("design: {kind: linked, judges_per_subject: 3}"),
            "judges_per_subject: 3 is more than the study's 2 judges",
        ),
        (
            rubric("design: {kind: linked, judges_per_subject: 1}"),
            r"could not compare .*subset 1 .*subset 2 .*raise calls",
        ),
        (rubric("facets: {occasion: 1000, order: full, template: all, label: all}", 20), "more than one plan may hold"),
        (pairs(more=", group: situation"), r"6 disconnected subsets.*subset 1 \(item \['dog-1'"),
        (
            pairs("design: {kind: fractional, calls: 12}"),
            r"\d+ of 24 compared texts are in no pair, first '.*'; raise calls",
        ),
        (pairs(more=", system: situation, group: situation"), "at least two texts of different systems in one group"),
        (inventory("design: {kind: fractional, calls: 4}"), r"trait '\w+': 1 of 2 subjects are asked nothing about it"),
    ],
)
def test_a_design_that_cannot_answer_is_refused(study: Study, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        plan(study)


def test_only_modelled_facets_need_links() -> None:
    thin = "facets: {template: all}\ndesign: {kind: fractional, calls: 24}\n"
    with pytest.raises(DesignError, match="could not compare"):
        plan(rubric(thin, judges=1))
    assert plan(rubric(f"{thin}model: {{kind: many_facet_rasch, facets: judge}}", judges=1)).n_rows == 24


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    laid_out = plan(pairs("facets: {template: all}"))
    path = laid_out.write(tmp_path / "sub" / "plan.parquet")
    back = Plan.read(path)
    pd.testing.assert_frame_equal(back.frame, laid_out.frame)
    assert (back.study.hash, back.study.source) == (laid_out.study.hash, laid_out.study.source)
    assert (back.instrument, back.texts) == (laid_out.instrument, laid_out.texts)
    assert (back.seed, back.notes, back.provenance, back.hash) == (
        *(laid_out.seed, laid_out.notes, laid_out.provenance),
        laid_out.hash,
    )
    assert back.prompt(5) == laid_out.prompt(5)
    assert [p.name for p in path.parent.iterdir()] == ["plan.parquet"]


def test_a_file_that_is_no_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.parquet: no such file"):
        Plan.read(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(StudyError, match=r"text\.parquet: not a plan: "):
        Plan.read(tmp_path / "text.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(StudyError, match=r"other\.parquet: a Parquet file, but not a plan"):
        Plan.read(tmp_path / "other.parquet")


def test_a_plan_whose_rows_changed_is_refused(tmp_path: Path) -> None:
    laid_out = plan(rubric())
    swapped = laid_out.frame.assign(template="evidence")
    changed = Plan(swapped, laid_out.study, laid_out.instrument, laid_out.texts, 0)
    with pytest.raises(StudyError, match="row 0 no longer gives the request it was planned as; plan again"):
        Plan.read(changed.write(tmp_path / "p.parquet"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"plan: .*plan\.parquet cannot be written"):
        plan(rubric()).write(tmp_path / "file" / "plan.parquet")


def test_a_plan_says_what_it_is() -> None:
    laid_out = plan(rubric())
    assert repr(laid_out).startswith("Plan('s', empathy-rubric, 144 requests: 24 subject, 3 item, 2 judge, 1 template")
    assert "<p>144 requests</p>" in laid_out._repr_html_()


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_planned_in_seconds(tmp_path: Path) -> None:
    pd.DataFrame({"id": range(2000), "text": [f"text {i}: " + "word " * 100 for i in range(2000)]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    text = rubric("facets: {template: all, order: full, label: all}\ndesign: {kind: fractional, calls: 100000}", 3)
    study = Study.from_dict({**text.to_dict(), "subjects": {"from": "t.csv"}}, folder=tmp_path)
    start = time.process_time()
    assert plan(study).n_rows == 100_000
    # About 6 s where this was written; the limit only catches a change of order.
    assert time.process_time() - start < 40
