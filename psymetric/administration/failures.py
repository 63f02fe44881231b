"""What a failed request means: for its endpoint, for trying it again, and for the budget."""

from __future__ import annotations

from typing import Final

from psymetric.errors import AuthFailed, ModelNotFound, ProviderError, RequestTimeout
from psymetric.providers._http import Unreachable

__all__ = ["counts_as_call", "deterministic", "stops_endpoint"]

_PASSING: Final = frozenset({408, 409, 425, 502, 503, 504, 524, 529})


def stops_endpoint(error: ProviderError) -> bool:
    """Whether every further request to this endpoint would fail alike."""
    return isinstance(error, AuthFailed | ModelNotFound)


def deterministic(error: ProviderError) -> bool:
    """Whether the same request will probably fail the same way: not for timeouts, overload and lost connections."""
    if isinstance(error, RequestTimeout):
        return False
    return error.status is not None and error.status not in _PASSING


def counts_as_call(error: ProviderError) -> bool:
    """Whether a model may have worked, and been paid, for the failed request."""
    if isinstance(error, Unreachable | AuthFailed):
        return False
    return error.status is None or not 400 <= error.status < 500
