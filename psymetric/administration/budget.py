"""Hard caps on calls, tokens and cost, kept while many requests are in flight.

A request is sent only when its worst case (estimated prompt tokens plus its whole token cap) still fits beside what is
spent and what is in flight, so a cap is not overrun by requests already under way. What earlier runs of the same plan
spent counts too: resuming never resets a cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from psymetric.errors import StudyError
from psymetric.providers.base import ModelEndpoint, Prompt, Usage

__all__ = ["Budget", "Charge", "Fits", "Ledger", "charged", "expected"]

_CHARACTERS_PER_TOKEN = 3.0
_TOKENS_PER_MESSAGE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Caps over all runs of one plan; None is no cap.

    Attributes:
        calls: Requests that a model may have worked on (replies, server errors, timeouts; not 429s or refused access).
        tokens: Prompt plus completion tokens, as the server counts them, estimated where it does not say.
        cost: In the currency of the endpoints' prices.

    Raises:
        StudyError: A cap is negative.
    """

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "cost"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise StudyError(f"Budget: {name} must be 0 or more, got {value}")


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request, or many, count for."""

    calls: int = 0
    tokens: float = 0.0
    cost: float = 0.0

    def __add__(self, other: Charge) -> Charge:
        return Charge(self.calls + other.calls, self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: Charge) -> Charge:
        return Charge(self.calls - other.calls, self.tokens - other.tokens, self.cost - other.cost)


class Fits(Enum):
    """Whether one more request fits under the caps."""

    YES = "yes"
    LATER = "later"
    """Not beside what is in flight, but perhaps once that has cost less than its worst case."""
    NO = "no"


def _charge(endpoint: ModelEndpoint, prompt_tokens: float, completion_tokens: float) -> Charge:
    cost = endpoint.price.cost(prompt_tokens, completion_tokens) if endpoint.price else 0.0
    return Charge(1, prompt_tokens + completion_tokens, cost)


def expected(prompt: Prompt, endpoint: ModelEndpoint) -> Charge:
    """The worst case of one request: estimated prompt tokens and the whole token cap."""
    return _charge(endpoint, _prompt_tokens(prompt), prompt.max_tokens)


def charged(prompt: Prompt, endpoint: ModelEndpoint, usage: Usage, text: str) -> Charge:
    """What a reply counts for; tokens the server does not report are estimated from the characters."""
    asked = usage.prompt_tokens if usage.prompt_tokens is not None else _prompt_tokens(prompt)
    answered = usage.completion_tokens
    return _charge(endpoint, asked, answered if answered is not None else 1 + len(text) / _CHARACTERS_PER_TOKEN)


def _prompt_tokens(prompt: Prompt) -> float:
    return sum(_TOKENS_PER_MESSAGE + len(content) / _CHARACTERS_PER_TOKEN for _, content in prompt.messages)


class Ledger:
    """Counts one run against its caps.

    Args:
        budget: The caps.
        spent: What earlier runs of the same plan spent.
    """

    def __init__(self, budget: Budget, spent: Charge) -> None:
        self._budget = budget
        self.spent = spent
        self.reserved = Charge()
        self.exhausted = ""

    def reserve(self, charge: Charge) -> Fits:
        """Set a request's worst case aside if it fits; call `settle` with the same charge once it has ended."""
        if self._over(self.spent + self.reserved + charge) is None:
            self.reserved += charge
            return Fits.YES
        blocked = self._over(self.spent + charge)
        if blocked is None or self.reserved.calls:
            return Fits.LATER
        self.exhausted = blocked
        return Fits.NO

    def settle(self, reserved: Charge, actual: Charge) -> None:
        """Replace what was set aside by what it was."""
        self.reserved -= reserved
        self.spent += actual

    def _over(self, total: Charge) -> str | None:
        budget = self._budget
        if budget.calls is not None and total.calls > budget.calls:
            return f"calls = {budget.calls:,}"
        if budget.tokens is not None and total.tokens > budget.tokens:
            return f"tokens = {budget.tokens:,}"
        # Sums of floats: the last request that fits exactly must not be lost to rounding.
        if budget.cost is not None and total.cost > budget.cost * (1 + 1e-9):
            return f"cost = {budget.cost:g}"
        return None
