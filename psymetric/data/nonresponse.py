"""Why a row holds no response."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["NonResponse"]


class NonResponse(StrEnum):
    """The reason a row holds no response; never scored as zero, never as the midpoint.

    Models skip these rows. That is harmless when the reason has nothing to do with the measure (`transport`, `budget`),
    and biases the result when it has (a model that refuses what it would fail).
    """

    refusal = "refusal"
    """The model declined to answer."""
    provider_filter = "provider_filter"
    """The provider blocked the request or the reply."""
    empty = "empty"
    """The reply held no text."""
    truncated = "truncated"
    """The reply hit its length limit before it held an answer."""
    unparsable = "unparsable"
    """The reply held text in which no single answer was found."""
    off_scale = "off_scale"
    """The reply named an answer that was not offered."""
    no_logprobs = "no_logprobs"
    """Probabilities of the options were asked for and the provider gave none."""
    transport = "transport"
    """The request failed after every retry."""
    budget = "budget"
    """A cap was reached before the request was sent."""
    missing = "missing"
    """The source has no value and does not say why."""
