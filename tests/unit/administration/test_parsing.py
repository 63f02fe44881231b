"""The strict parser, case by case and on arbitrary text."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings, strategies as st

from psymetric.administration.parsing import Reading, parse_answer
from psymetric.data.nonresponse import NonResponse

LETTERS = ("A", "B", "C", "D", "E")
ANCHORS = ("Disagree strongly", "Disagree a little", "Neither agree nor disagree", "Agree a little", "Agree strongly")
FIVE = ("1", "2", "3", "4", "5")
TEN = tuple(str(n) for n in range(1, 11))
ROMAN = ("i", "ii", "iii", "iv", "v")


def read(text: str | bytes | None, labels: tuple[str, ...] = FIVE, **more: object) -> int | NonResponse:
    reading = parse_answer(text, labels, range(len(labels)), **more)  # type: ignore[arg-type]
    assert (reading.category is None) == (reading.reason is not None)
    return labels_code(reading)


def labels_code(reading: Reading) -> int | NonResponse:
    return reading.category if reading.category is not None else reading.reason  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "labels", "label"),
    [
        ("10", TEN, "10"),
        ("1", TEN, "1"),
        (" 10.\n", TEN, "10"),
        ("10/10", TEN, "10"),
        ("Rating: 10", TEN, "10"),
        ("4.", FIVE, "4"),
        ("4.0", FIVE, "4"),
        ("**4**", FIVE, "4"),
        ("`4`", FIVE, "4"),
        ("# 4", FIVE, "4"),
        ("- 4", FIVE, "4"),
        ("$\\boxed{4}$", FIVE, "4"),
        ("(4)", FIVE, "4"),
        ('"4"', FIVE, "4"),
        ("4/5", FIVE, "4"),
        ("4 out of 5", FIVE, "4"),
        ("I would rate this a 4 out of 5.", FIVE, "4"),
        ("I'd give it a 4.", FIVE, "4"),
        ("Score: 4", FIVE, "4"),
        ("Score: 4/5 because it explores 3 things", FIVE, "4"),
        ("**Rating:** 4", FIVE, "4"),
        ("**Rating (1-5):** 4", FIVE, "4"),
        ('{"rating": 4, "reason": "warm"}', FIVE, "4"),
        ('```json\n{"score": "4"}\n```', FIVE, "4"),
        ("<answer>4</answer>", FIVE, "4"),
        ("The reply names 2 feelings and asks 3 questions.\n\n4", FIVE, "4"),
        ("4\n\nThe reply names two feelings.", FIVE, "4"),
        ("4 - it names the feeling", FIVE, "4"),
        ("4: because it is warm", FIVE, "4"),
        ("1. It names the feeling.\n2. It asks a question.\nScore: 3", FIVE, "3"),
        ("Score: 2 at first sight.\nFinal score: 3", FIVE, "3"),
        ("1) never\n2) rarely\n3) often\n4) always\n5) n/a\n\nAnswer: 2", FIVE, "2"),
        ("٤", FIVE, "4"),
        ("４", FIVE, "4"),
        ("४।".replace("।", "."), FIVE, "4"),
        ("四", FIVE, "4"),
        ("4️⃣", FIVE, "4"),
        ("\u200b\ufeff4\u200e", FIVE, "4"),
        ("<think>Perhaps 2, perhaps 5.</think>4", FIVE, "4"),
        ("Perhaps 2.</think>\n\n4", FIVE, "4"),
        ("<|channel|>analysis<|message|>2?<|end|><|channel|>final<|message|>4", FIVE, "4"),
        ("B", LETTERS, "B"),
        ("b", LETTERS, "B"),
        ("B)", LETTERS, "B"),
        ("(B)", LETTERS, "B"),
        ("B.", LETTERS, "B"),
        ("Ｂ", LETTERS, "B"),
        ("Option B", LETTERS, "B"),
        ("Answer: B", LETTERS, "B"),
        ("The answer is **B**.", LETTERS, "B"),
        ("The final answer is (B)", LETTERS, "B"),
        ("Answer: A", LETTERS, "A"),
        ("C) since it fits", LETTERS, "C"),
        ("5 (Agree strongly)", FIVE, "5"),
        ("B (a little)", LETTERS, "B"),
        ("iii", ROMAN, "iii"),
        ("IV", ROMAN, "iv"),
        ("Answer: ii", ROMAN, "ii"),
        (b"4", FIVE, "4"),
    ],
)  # fmt: skip
def test_stated_answers_are_read(text: str | bytes, labels: tuple[str, ...], label: str) -> None:
    assert read(text, labels) == labels.index(label)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("B) Disagree a little", "B"),
        ("B. Disagree a little. I seldom do that.", "B"),
        ("A) Disagree strongly", "A"),
        ("**D) Agree a little**", "D"),
        ("agree strongly", "E"),
        ("“Neither agree nor disagree.”", "C"),
    ],
)
def test_option_texts_are_read_when_known(text: str, label: str) -> None:
    assert read(text, LETTERS, options=ANCHORS) == LETTERS.index(label)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("3 4", FIVE),
        ("3-4", FIVE),
        ("3 or 4", FIVE),
        ("Rating: 3-4", FIVE),
        ("Rating: 3 or 4", FIVE),
        ("Rating: 3\nRating: 4", FIVE),
        ("4, maybe 5", FIVE),
        ("4\n5\n3", FIVE),
        ("Score: 4/10", FIVE),
        ("Score 0: none. Score 1: weak. Score 2: strong. The text gets 1.", ("0", "1", "2")),
        ("1 = never, 5 = always", FIVE),
        ("1) never\n2) rarely\n3) often", FIVE),
        ("1. The reply names the feeling.", FIVE),
        ("I have 2 concerns about this reply.", FIVE),
        ("The response is 4 sentences long.", FIVE),
        ("On a scale from 1 (never) to 5 (always)", FIVE),
        ("4½", FIVE),
        ("4²", FIVE),
        ("<4", FIVE),
        ("4+", FIVE),
        ("4%", FIVE),
        ("Rating: 4%", FIVE),
        (".4", FIVE),
        ("A bit like me", LETTERS),
        ("The answer is a matter of taste", LETTERS),
        ("A or B", LETTERS),
        ("Answer: A or B", LETTERS),
        ("Answer: B, but C is close", LETTERS),
        ("A) Disagree strongly\nB) Disagree a little", LETTERS),
        ("Option A is tempting, the second is better", LETTERS),
        ("<think>4", FIVE),
        ("lorem ipsum", FIVE),
        ("?" * 50, FIVE),
        ("4" * 200_000, FIVE),
    ],
)  # fmt: skip
def test_ambiguous_replies_are_unparsable(text: str, labels: tuple[str, ...]) -> None:
    assert read(text, labels) in {NonResponse.unparsable}


def test_label_that_contradicts_its_option_is_unparsable() -> None:
    assert read("B) Agree strongly", LETTERS, options=ANCHORS) == NonResponse.unparsable
    assert read("B (Agree strongly)", LETTERS, options=ANCHORS) == NonResponse.unparsable


@pytest.mark.parametrize("text", ["7", "0", "-1", "4.5", "Rating: 7", "Rating: 4.5", "45", "F", "Rating: -2"])
def test_answers_outside_the_scale_are_off_scale(text: str) -> None:
    assert read(text, LETTERS if text == "F" else FIVE) == NonResponse.off_scale


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I don't have feelings, so I have no rating.",
        "I do not have personal experiences.",
        "I cannot rate this conversation with 1 or 2.",
        "Es tut mir leid, das kann ich nicht.",
    ],
)
def test_refusals_in_words_are_refusals(text: str) -> None:
    assert read(text) == NonResponse.refusal


def test_answer_with_a_caveat_is_an_answer() -> None:
    assert read("As an AI I don't have feelings, but for the exercise:\nAnswer: 3") == 2


@pytest.mark.parametrize(
    ("more", "text", "expected"),
    [
        ({"refusal": "no"}, "4", NonResponse.refusal),
        ({"finish_reason": "content_filter"}, "4", NonResponse.provider_filter),
        ({}, "", NonResponse.empty),
        ({}, None, NonResponse.empty),
        ({}, " \n\u200b", NonResponse.empty),
        ({}, "<think>4</think>", NonResponse.empty),
        ({"finish_reason": "length"}, "", NonResponse.truncated),
        ({"finish_reason": "length"}, "<think>so 4", NonResponse.truncated),
        ({"finish_reason": "length"}, "Score: 4 would be too", NonResponse.truncated),
        ({"finish_reason": "length"}, "4", 3),
        ({"finish_reason": "length"}, "4\nbecause it", 3),
    ],
)
def test_finish_reasons_decide(more: dict[str, str], text: str | None, expected: object) -> None:
    assert read(text, **more) == expected


def test_truncated_one_is_not_read_as_one_where_ten_is_legal() -> None:
    assert read("1", TEN, finish_reason="length") == NonResponse.truncated
    assert read("2", TEN, finish_reason="length") == 1


def test_values_are_returned_not_positions() -> None:
    assert parse_answer("B", ("A", "B", "C"), (2, 1, 0)).category == 1
    assert parse_answer("A", ("A", "B", "C"), (2, 1, 0)).category == 2


def test_long_punctuation_is_read_in_linear_time() -> None:
    for text in (
        "4" + " " * 90_000 + "x",
        "Answer:" + " " * 90_000,
        "*" * 90_000,
        "I rate " * 12_000,
        "<think>" * 12_000,
    ):
        assert isinstance(read(text), NonResponse)


ARBITRARY = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            (
                *("4", "A", "10", "Answer:", "rating", " is ", "\n", ")", ".", "<think>", "</think>"),
                *("-", "/5", "٤", "½", "\ud800", "**"),
            )
        ),
        max_size=12,
    ).map("".join),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(ARBITRARY, st.sampled_from([LETTERS, FIVE, TEN, ROMAN, ("yes", "no"), ("0", "1", "2")]), st.booleans())
@example("\ud800", FIVE, False)
def test_parser_never_raises_and_stays_on_the_scale(text: str | bytes, labels: tuple[str, ...], known: bool) -> None:
    options = tuple(f"option {label}" for label in labels) if known else ()
    reading = parse_answer(text, labels, range(len(labels)), options=options)
    assert (reading.category in range(len(labels))) != isinstance(reading.reason, NonResponse)


@given(
    st.sampled_from([LETTERS, FIVE, TEN, ROMAN]).flatmap(lambda each: st.tuples(st.just(each), st.sampled_from(each))),
    st.sampled_from(["{}", "{}.", "({})", "**{}**", "Answer: {}", "Final answer: {}.", "Rating={}\n", "\n{}", '"{}"']),
)  # fmt: skip
def test_every_label_is_read_back_in_every_dress(chosen: tuple[tuple[str, ...], str], dress: str) -> None:
    labels, label = chosen
    assert read(dress.format(label), labels) == labels.index(label)
