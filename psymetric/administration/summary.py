"""What a run says when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from psymetric.data.nonresponse import NonResponse

__all__ = ["stop_message", "summary"]

_NOT_ASKED = (NonResponse.missing.value, NonResponse.budget.value)
_ASKED_AGAIN = (NonResponse.transport.value, NonResponse.empty.value, NonResponse.no_logprobs.value)


class _Outcome(Protocol):
    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def stopped(self) -> Mapping[str, str]: ...
    @property
    def store(self) -> str: ...


def summary(counts: Mapping[str, int], total: int, store: str, exhausted: str, errors: Mapping[str, str]) -> str:
    """Sentences for the end of a run.

    Args:
        counts: Rows by status.
        total: Rows of the plan.
        store: Its URL.
        exhausted: The cap that stopped the run, such as "calls = 2,000", or "".
        errors: Endpoints given up, with the error.
    """
    sentences = [f"{counts.get('answered', 0):,} of {total:,} requests answered, stored in {store}."]
    without = {reason: n for reason, n in counts.items() if reason not in {"answered", *_NOT_ASKED}}
    if without:
        listed = ", ".join(f"{reason} {n:,}" for reason, n in sorted(without.items(), key=lambda pair: -pair[1]))
        sentences.append(f"{sum(without.values()):,} without an answer: {listed}.")
    left = sum(counts.get(reason, 0) for reason in _NOT_ASKED)
    if exhausted:
        advice = "raise it and run the same command to continue; nothing is asked twice"
        sentences.append(f"Stopped at the budget ({exhausted}) with {left:,} not asked: {advice}.")
    elif left:
        sentences.append(f"{left:,} not asked.")
    sentences += [f"Gave up: {error}." for error in errors.values()]
    again = sum(counts.get(reason, 0) for reason in _ASKED_AGAIN) + left
    if again and not exhausted:
        sentences.append(f"Run the same command to ask the {again:,} again.")
    return " ".join(sentences)


def stop_message(outcome: _Outcome) -> str:
    """One line for the error that is raised when endpoints were given up."""
    total = sum(outcome.counts.values())
    done = outcome.counts.get("answered", 0)
    errors = "; ".join(outcome.stopped.values())
    return f"{errors}. {done:,} of {total:,} answers are stored in {outcome.store}; mend this and run the same command"
