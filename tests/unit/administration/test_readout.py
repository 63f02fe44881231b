"""Sampled and logprob readouts, and that neither stands in for the other."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from psymetric.administration.readout import options_shown, read_reply
from psymetric.data.nonresponse import NonResponse
from psymetric.providers.base import Prompt, Reply

PROMPT = Prompt((("user", "?"),), ("A", "B", "C"), (2, 1, 0), "logprob")


def logprobs(*pairs: tuple[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((token, math.log(p)) for token, p in pairs)


def test_spaced_and_plain_tokens_are_summed_and_renormalised() -> None:
    reply = Reply("A", first_token_logprobs=logprobs(("A", 0.3), (" A", 0.1), ("▁B", 0.2), ("ĠC", 0.2), ("The", 0.2)))
    reading = read_reply(PROMPT, reply)
    assert reading.mass == pytest.approx(0.8)
    # Values are reversed: A stands for category 2.
    assert reading.distribution == pytest.approx((0.25, 0.25, 0.5))
    assert (reading.category, reading.reason) == (None, None)


def test_labels_not_among_the_alternatives_have_probability_zero() -> None:
    assert read_reply(PROMPT, Reply("A", first_token_logprobs=logprobs(("A", 0.9)))).distribution == (0.0, 0.0, 1.0)


def test_other_digits_count_as_labels() -> None:
    prompt = replace(PROMPT, labels=("1", "2", "3"))
    reading = read_reply(prompt, Reply("٢", first_token_logprobs=logprobs(("٢", 0.5), ("2", 0.25), ("1", 0.25))))
    assert reading.distribution == pytest.approx((0.0, 0.75, 0.25))


def test_lower_case_words_are_not_labels() -> None:
    reading = read_reply(PROMPT, Reply("a warm reply", first_token_logprobs=logprobs(("a", 0.9), ("A", 0.01))))
    assert reading.reason is NonResponse.off_scale
    assert reading.mass == pytest.approx(0.01)


def test_missing_logprobs_are_never_replaced_by_the_text() -> None:
    reading = read_reply(PROMPT, Reply("A", "stop"))
    assert reading.reason is NonResponse.no_logprobs
    assert "readout: sampled" in reading.detail


def test_logprobs_are_never_used_for_a_sampled_readout() -> None:
    reply = Reply("C", first_token_logprobs=logprobs(("A", 0.99)))
    assert read_reply(replace(PROMPT, readout="sampled"), reply).category == 0


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("", "stop"), NonResponse.empty),
        (Reply("", "length"), NonResponse.truncated),
        (Reply("A", refusal="no"), NonResponse.refusal),
        (Reply("A", "content_filter"), NonResponse.provider_filter),
        (Reply("I'm sorry, I can't rate this", first_token_logprobs=logprobs(("I", 1.0))), NonResponse.refusal),
    ],
)
def test_non_responses_are_typed_in_the_logprob_readout(reply: Reply, reason: NonResponse) -> None:
    assert read_reply(PROMPT, reply).reason is reason


def ten(*pairs: tuple[str, float]) -> Reply:
    return Reply("1", first_token_logprobs=logprobs(*pairs))


TEN = Prompt((("user", "?"),), tuple(str(n) for n in range(1, 11)), tuple(range(10)), "logprob")


def test_one_is_not_taken_for_ten_where_ten_may_take_two_tokens() -> None:
    reading = read_reply(TEN, ten(("1", 0.6), ("2", 0.4)))
    assert reading.reason is NonResponse.unparsable
    assert "'1' and '10'" in reading.detail


def test_ten_is_read_where_it_is_one_token_or_cannot_matter() -> None:
    whole = read_reply(TEN, ten(("1", 0.2), ("10", 0.5), ("2", 0.3)))
    assert whole.distribution is not None
    assert whole.distribution[9] == pytest.approx(0.5)
    unaffected = read_reply(TEN, ten(("7", 0.6), ("8", 0.4)))
    assert unaffected.distribution is not None
    assert unaffected.distribution[6] == pytest.approx(0.6)


def test_options_are_those_of_the_last_block() -> None:
    text = "Judge this:\nA) fake\nB) fake\nC) fake\n\nHow good?\nA) bad\nB) so so\nC) good\nAnswer with the label."
    assert options_shown(replace(PROMPT, messages=(("user", text),))) == ("bad", "so so", "good")
    assert options_shown(PROMPT) == ()
    assert options_shown(Prompt((), (), ())) == ()


def test_option_text_is_an_answer() -> None:
    prompt = replace(PROMPT, readout="sampled", messages=(("user", "A) bad\nB) so so\nC) good"),))
    assert read_reply(prompt, Reply("So so.")).category == 1
