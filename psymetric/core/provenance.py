"""What produced a result: versions, settings, seed and the hash of the data."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self, final

__all__ = ["Provenance"]

_PACKAGES = ("psymetric", "jax", "numpyro", "numpy", "scipy", "pandas")


@cache
def _installed() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _versions() -> dict[str, str]:
    return dict(_installed())


@final
@dataclass(frozen=True)
class Provenance:
    """Where a result came from.

    Attributes:
        source: Hash of the table or plan that the result was computed from.
        settings: What was run, as names and values.
        seed: Seed of the random numbers, or None when none were drawn.
        created: Time in UTC, ISO 8601.
        versions: Package versions.
    """

    source: str
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    seed: int | None = None
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: dict[str, str] = field(default_factory=_versions)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(**record)
