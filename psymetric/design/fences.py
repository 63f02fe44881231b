"""Fences around untrusted text.

Judged text may hold anything, including words that look like our own delimiters or like instructions. Each fence
carries a nonce that depends on all the texts of the prompt, so that no text can hold the tag that would close its own
fence (it would have to contain a part of its own hash); and whatever looks like such a tag is defused all the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["FENCE", "fence", "unfence"]

FENCE: Final = re.compile(r"<(text|first|second)-([0-9a-f]{16})>\n(.*?)\n</\1-\2>", re.DOTALL)
_LOOKALIKE: Final = re.compile(r"<(?=\s*/?\s*(?:text|first|second)\s*-)", re.IGNORECASE)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def fence(texts: Mapping[str, str]) -> dict[str, str]:
    """Each text between tags of its name: `<first-3f…>`, text, `</first-3f…>`.

    Args:
        texts: Text by tag name ("text", or "first" and "second").

    Returns:
        Fenced text by tag name. Lone surrogates, which no request can carry, become U+FFFD.
    """
    clean = {name: _SURROGATE.sub("\ufffd", text) for name, text in texts.items()}
    digest = hashlib.sha256()
    for name, text in clean.items():
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        digest.update(f"{name}:{len(text)}:{text}".encode())
    nonce = digest.hexdigest()[:16]
    return {name: f"<{name}-{nonce}>\n{_defuse(text)}\n</{name}-{nonce}>" for name, text in clean.items()}


def unfence(message: str) -> dict[str, str]:
    """The texts fenced in a message, by tag name, as shown (defused, not restored)."""
    return {match[1]: match[3] for match in FENCE.finditer(message)}


def _defuse(text: str) -> str:
    return _LOOKALIKE.sub("‹", text)
