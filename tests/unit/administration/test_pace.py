"""Concurrency, cool-downs, rates and back-off on a hand-driven clock."""

from __future__ import annotations

import random

import pytest

from psymetric.administration.pace import Pace, RateGate, Window, backoff
from psymetric.errors import DesignError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def window(ceiling: int = 200, **settings: float) -> tuple[Window, Clock]:
    clock = Clock()
    return Window(Pace(**settings), ceiling, clock), clock  # type: ignore[arg-type]


def test_window_starts_at_twenty_or_the_ceiling() -> None:
    assert window()[0].allowed == 20
    assert window(ceiling=3)[0].allowed == 3


def test_window_doubles_per_round_until_the_first_429_and_stays_under_the_ceiling() -> None:
    adaptive, _ = window(ceiling=50)
    for _ in range(20):
        adaptive.succeeded(in_flight=adaptive.allowed)
    assert adaptive.allowed == 40
    for _ in range(100):
        adaptive.succeeded(in_flight=adaptive.allowed)
    assert adaptive.allowed == 50


def test_window_grows_by_one_per_round_after_a_429() -> None:
    adaptive, clock = window()
    adaptive.rate_limited(sent_at=clock.now, wait=0)
    assert adaptive.size == pytest.approx(16)
    for _ in range(16):
        adaptive.succeeded(in_flight=adaptive.allowed)
    assert 16.9 < adaptive.size < 17.0


def test_window_does_not_grow_when_it_is_not_what_limits() -> None:
    adaptive, _ = window()
    adaptive.succeeded(in_flight=3)
    assert adaptive.size == 20


def test_one_episode_of_429s_cuts_once() -> None:
    adaptive, clock = window()
    sent = clock.now
    for _ in range(15):
        clock.now += 0.01
        adaptive.rate_limited(sent_at=sent, wait=1)
    assert adaptive.size == pytest.approx(16)
    clock.now += 5
    adaptive.rate_limited(sent_at=clock.now, wait=1)
    assert adaptive.size == pytest.approx(12.8)


def test_window_never_closes() -> None:
    adaptive, clock = window()
    for _ in range(100):
        clock.now += 1
        adaptive.rate_limited(sent_at=clock.now, wait=0)
    assert adaptive.allowed == 1


def test_trouble_pauses_growth_without_cutting() -> None:
    adaptive, clock = window(growth_pause=5.0)
    adaptive.troubled()
    adaptive.succeeded(in_flight=20)
    assert adaptive.size == 20
    clock.now += 5
    adaptive.succeeded(in_flight=20)
    assert adaptive.size == 21


def test_cool_downs_extend_and_never_shorten() -> None:
    adaptive, clock = window()
    adaptive.cool_down(10)
    adaptive.cool_down(2)
    assert adaptive.waiting == 10
    clock.now += 11
    assert adaptive.waiting == 0


def test_backoff_doubles_is_capped_and_jittered() -> None:
    pace, rng = Pace(first_wait=1.0, longest_wait=8.0), random.Random(1)
    for attempt, full in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (500, 8)):
        waits = [backoff(attempt, pace, rng) for _ in range(200)]
        assert full / 2 <= min(waits) < max(waits) <= full
        assert len(set(waits)) > 100


def test_rates_space_requests_evenly() -> None:
    clock = Clock()
    gate = RateGate(requests_per_minute=60, tokens_per_minute=6_000, clock=clock)
    assert gate.wait() == 0
    gate.sent(tokens=10)
    assert gate.wait() == pytest.approx(1.0)
    clock.now += 1
    gate.sent(tokens=500)
    assert gate.wait() == pytest.approx(5.0)


def test_no_rates_mean_no_waiting() -> None:
    gate = RateGate(None, None, Clock())
    gate.sent(tokens=1e9)
    assert gate.wait() == 0


@pytest.mark.parametrize(
    ("settings", "match"),
    [({"start": 0}, "start = 0"), ({"decrease": 1.0}, "decrease = 1.0"), ({"first_wait": float("nan")}, "first_wait")],
)
def test_impossible_paces_are_refused(settings: dict[str, float], match: str) -> None:
    with pytest.raises(DesignError, match=match):
        Pace(**settings)  # type: ignore[arg-type]
