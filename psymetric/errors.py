"""The exceptions psymetric raises, as one tree.

```
PsymetricError
├── DataError(ValueError)               a table or file holds something that cannot be measured
├── DesignError(ValueError)             a study or design cannot answer its question (empty, disconnected)
├── IdentificationError(ValueError)     parameters that this design does not determine
├── StudyError(ValueError)              a study or instrument file is malformed
├── ConvergenceError(RuntimeError)      an engine stopped before its optimum; `.fit` holds where it stood
├── StoreError(RuntimeError)            the response store cannot be read or written
├── BudgetExceeded(RuntimeError)        a hard cap was reached; everything is stored
├── MissingDependencyError(ImportError) names the extra to install
└── ProviderError(RuntimeError)         one request to a model failed; `.retryable` says whether to try again
    ├── RateLimited                     `.retry_after`, seconds, or None
    ├── AuthFailed
    ├── ModelNotFound
    ├── RequestTimeout
    └── UnparsableReply                 the body was not what the protocol promises
```

A message says who, what, where (counts and the first row), what was got, and how to mend it. Nothing here ever holds a
credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psymetric.estimation.fit import Fit

__all__ = [
    "AuthFailed",
    "BudgetExceeded",
    "ConvergenceError",
    "DataError",
    "DesignError",
    "IdentificationError",
    "MissingDependencyError",
    "ModelNotFound",
    "ProviderError",
    "PsymetricError",
    "RateLimited",
    "RequestTimeout",
    "StoreError",
    "StudyError",
    "UnparsableReply",
]


class PsymetricError(Exception):
    """Any error psymetric raises on purpose."""


class DataError(PsymetricError, ValueError):
    """A table or file holds something that cannot be measured."""


class DesignError(PsymetricError, ValueError):
    """A study or design cannot answer its question."""


class IdentificationError(PsymetricError, ValueError):
    """The design does not determine some parameters, which the message names."""


class StudyError(PsymetricError, ValueError):
    """A study or instrument file is malformed."""


class ConvergenceError(PsymetricError, RuntimeError):
    """An engine stopped before its optimum; `fit` holds the unfinished result."""

    def __init__(self, message: str, fit: Fit | None = None) -> None:
        super().__init__(message)
        self.fit = fit


class StoreError(PsymetricError, RuntimeError):
    """The response store cannot be read or written."""


class BudgetExceeded(PsymetricError, RuntimeError):
    """A hard cap on calls, tokens or cost was reached; everything asked so far is stored."""


class MissingDependencyError(PsymetricError, ImportError):
    """An optional package is not installed; the message names the extra."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: `pip install 'psymetric[{extra}]'` brings it.")
        self.package, self.extra = package, extra

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.package, self.extra))


class ProviderError(PsymetricError, RuntimeError):
    """One request to a model failed."""

    retryable: bool = True

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RateLimited(ProviderError):
    """The server answered 429 (or its equivalent); `retry_after` is in seconds."""

    def __init__(self, message: str, *, status: int | None = 429, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class AuthFailed(ProviderError):
    """The server refused the credentials (401 or 403)."""

    retryable = False


class ModelNotFound(ProviderError):
    """The server does not know this model or address (404)."""

    retryable = False


class RequestTimeout(ProviderError):
    """No complete reply arrived in time."""


class UnparsableReply(ProviderError):
    """The reply's body was not what the protocol promises; `raw` is its beginning."""

    def __init__(self, message: str, *, status: int | None = None, raw: str = "") -> None:
        super().__init__(message, status=status)
        self.raw = raw
