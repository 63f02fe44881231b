"""Finding what looks like an API key in a study, so that it is refused before it is written anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["find_credential"]

_NAMES: Final = frozenset(
    ("apikey", "key", "secret", "secretkey", "token", "accesstoken", "authtoken", "authorization", "password", "bearer")
)
_VALUE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[\w-]{16,}|sk_\w{16,}|gsk_\w{20,}|hf_[A-Za-z0-9]{20,}|xai-\w{20,}|pplx-\w{20,}|r8_\w{20,}"
    r"|AIza[\w-]{30,}|AKIA[0-9A-Z]{12,}|gh[pousr]_[A-Za-z0-9]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}\.|Bearer\s+[\w.-]{12,})"
    r"|[?&](?:api[_-]?key|key|token)=[\w-]{8,}"
)


def find_credential(value: object, path: str = "") -> str | None:
    """Path of the first field that looks like a credential, by its name or its value; None if there is none."""
    if isinstance(value, str):
        return path if _VALUE.search(value) else None
    if isinstance(value, Mapping):
        for name, child in value.items():
            place = f"{path}.{name}" if path else str(name)
            bare = re.sub(r"[^a-z]", "", str(name).lower())
            if bare in _NAMES and isinstance(child, str) and child.strip():
                return place
            if found := find_credential(child, place):
                return found
    if isinstance(value, (list, tuple)):
        for i, child in enumerate(value):
            if found := find_credential(child, f"{path}[{i}]"):
                return found
    return None
