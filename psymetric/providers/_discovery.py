"""Providers by file name: every module of this package that offers `from_endpoint` is one."""

from __future__ import annotations

import difflib
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

import psymetric.providers as package
from psymetric.errors import StudyError
from psymetric.providers.base import ModelEndpoint, Provider

__all__ = ["available_providers", "provider_for"]


def available_providers() -> tuple[str, ...]:
    """Names a study may give as `provider`, sorted."""
    names = (module.name for module in iter_modules(package.__path__))
    return tuple(sorted(name for name in names if not name.startswith("_") and name != "base"))


def provider_for(endpoint: ModelEndpoint) -> Provider:
    """The provider an endpoint asks for.

    Raises:
        StudyError: There is no such provider, or the endpoint lacks what it needs.
    """
    known = available_providers()
    if endpoint.provider not in known:
        near = difflib.get_close_matches(endpoint.provider, known, n=1, cutoff=0.4)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise StudyError(
            f"endpoint {endpoint.name!r}: no provider {endpoint.provider!r}; there are {', '.join(known)}{guess}"
        )
    module = import_module(f"{package.__name__}.{endpoint.provider}")
    return cast("Provider", module.from_endpoint(endpoint))
