"""From the settings of one row to the words that are sent."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from psymetric.design.fences import unfence
from psymetric.design.labels import LABEL_SETS, order_family
from psymetric.design.rendering import render
from psymetric.errors import StudyError
from psymetric.instruments import Inventory, PairTask, Rubric, load_instrument

BIG5 = load_instrument("big-five-20")
EMPATHY = load_instrument("empathy-rubric")
PAIRS = load_instrument("pairwise-empathy")
assert isinstance(BIG5, Inventory)
assert isinstance(EMPATHY, Rubric)
assert isinstance(PAIRS, PairTask)


def user(prompt: object) -> str:
    return prompt.messages[-1][1]  # type: ignore[attr-defined]


def shown_options(text: str, labels: tuple[str, ...]) -> list[str]:
    """What the lines `<label>) <option>` say, in the order of the labels."""
    lines = dict(line.split(") ", 1) for line in text.splitlines() if line.split(") ", 1)[0] in labels)
    return [lines[label] for label in labels]


def test_an_inventory_item_is_asked_in_full() -> None:
    prompt = render(BIG5, item="E1", template="direct")
    assert prompt.messages == (
        (
            "user",
            "How accurately does this phrase describe you?\n\n"
            "Phrase: quick to strike up talk with whoever is sitting nearby\n\n"
            "A) not at all accurate\nB) mostly inaccurate\nC) partly accurate\n"
            "D) mostly accurate\nE) entirely accurate\n\n"
            "Answer with the label of one option and nothing else.",
        ),
    )
    assert prompt.labels == ("A", "B", "C", "D", "E")
    assert prompt.values == (0, 1, 2, 3, 4)


def test_replacement_and_persona_are_filled_in() -> None:
    prompt = render(BIG5, item="E1", template="form", replacement="men", persona="You are shy.")
    role, system = prompt.messages[0]
    assert role == "system"
    assert system.startswith("You are shy.\n\nYou are filling in a short form")
    assert "most men" in user(prompt)


def test_sampling_settings_are_passed_on() -> None:
    prompt = render(BIG5, item="E1", template="direct", readout="logprob", temperature=0.5, max_tokens=3, seed=7)
    assert (prompt.readout, prompt.temperature, prompt.max_tokens, prompt.seed) == ("logprob", 0.5, 3, 7)


@given(st.sampled_from(order_family("full", 5)), st.sampled_from(LABEL_SETS))
def test_labels_and_values_say_what_the_options_say(order: str, label: str) -> None:
    prompt = render(BIG5, item="N2", template="reflect", order=order, label=label)
    anchors = [BIG5.response.anchors[c] for c in BIG5.response.categories]
    shown = shown_options(user(prompt), prompt.labels)
    assert [anchors.index(text) for text in shown] == list(prompt.values)
    if label == "scores":
        assert [str(BIG5.response.categories[value]) for value in prompt.values] == list(prompt.labels)


@pytest.mark.parametrize("criterion", EMPATHY.criteria, ids=lambda c: c.id)
def test_a_rubric_shows_the_descriptors_of_its_criterion(criterion: object) -> None:
    prompt = render(EMPATHY, item=criterion.id, texts=["words"], template="assessor")  # type: ignore[attr-defined]
    levels = criterion.levels  # type: ignore[attr-defined]
    assert shown_options(user(prompt), prompt.labels) == [levels[0], levels[1], levels[2]]
    assert criterion.text in user(prompt)  # type: ignore[attr-defined]
    assert unfence(user(prompt)) == {"text": "words"}


@pytest.mark.parametrize("template", list(EMPATHY.templates))
def test_the_guard_stands_right_before_the_text(template: str) -> None:
    text = user(render(EMPATHY, item="exploration", texts=["words"], template=template))
    assert f"{EMPATHY.guard}\n<text-" in text


def test_a_rubric_without_descriptors_shows_its_anchors() -> None:
    plain = EMPATHY.model_copy(update={"criteria": (EMPATHY.criteria[0].model_copy(update={"levels": None}),)})
    prompt = render(plain, item="emotional_reaction", texts=["words"], template="direct")
    assert shown_options(user(prompt), prompt.labels) == ["absent", "weak", "strong"]


@pytest.mark.parametrize("template", list(PAIRS.templates))
@pytest.mark.parametrize(
    ("position", "first", "values"), [("ab", "left words", (0, 1, 2)), ("ba", "right words", (1, 0, 2))]
)
def test_pair_values_name_the_winner_whichever_is_shown_first(
    template: str, position: str, first: str, values: tuple[int, ...]
) -> None:
    prompt = render(PAIRS, texts=["left words", "right words"], template=template, position=position)
    assert unfence(user(prompt))["first"] == first
    assert prompt.values == values
    assert shown_options(user(prompt), prompt.labels) == list(PAIRS.response.options)
    assert user(prompt).count(PAIRS.guard) == 1


def test_pair_values_follow_the_option_order() -> None:
    prompt = render(PAIRS, texts=["l", "r"], template="direct", position="ba", order="reversed")
    assert prompt.values == (2, 0, 1)


@given(st.text(min_size=1))
def test_a_judged_text_changes_nothing_outside_its_fence(text: str) -> None:
    def outside(judged: str) -> str:
        prompt = render(EMPATHY, item="exploration", texts=[judged], template="direct")
        message = user(prompt)
        tag = message[message.index("<text-") : message.index("<text-") + 22]
        start, end = message.index(tag), message.rindex(f"</{tag[1:]}>") + len(tag) + 2
        return message[:start] + message[end:]

    assert outside(text) == outside("harmless")


@given(st.sampled_from(["{options}", "{criterion}", "{text}", "\\1", "\\g<0>"]))
def test_braces_in_a_judged_text_are_not_filled(text: str) -> None:
    assert unfence(user(render(EMPATHY, item="exploration", texts=[text], template="direct"))) == {"text": text}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"item": "E9", "template": "direct"}, "no item 'E9'; valid: E1, E2"),
        ({"item": None, "template": "direct"}, "no item ''; valid: E1, E2"),
        ({"item": "E1", "template": "dirct"}, "no template 'dirct'; did you mean 'direct'"),
        ({"item": "E1", "template": "direct", "order": "1-2"}, "no option order '1-2' of 5 options"),
        ({"item": "E1", "template": "direct", "label": "Letters"}, "no label set 'Letters'; did you mean 'letters'"),
        ({"item": "E1", "template": "direct", "replacement": "man"}, "no replacement 'man'; did you mean 'men'"),
        ({"item": "E1", "template": "direct", "texts": ["x"]}, r"'big-five-20' \(inventory\) takes 0 texts, got 1"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        render(BIG5, **settings)  # type: ignore[arg-type]


def test_an_unknown_position_is_refused() -> None:
    with pytest.raises(StudyError, match=r"no position 'aa'; .*valid: ab, ba"):
        render(PAIRS, texts=["l", "r"], template="direct", position="aa")


def test_a_pair_needs_two_texts() -> None:
    with pytest.raises(StudyError, match="takes 2 texts, got 1"):
        render(PAIRS, texts=["l"], template="direct")
