"""What of a reply's text a reader would see as the answer: plain digits, no think block, no control characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["plain", "visible"]

_THINK: Final = ("think", "thinking", "thought", "reasoning", "analysis")
_FINAL_CHANNEL: Final = "<|channel|>final<|message|>"
_SPECIAL_TOKEN: Final = re.compile(r"<\|[^|<>]{1,40}\|>")
_DASHES: Final = frozenset("‐‑‒−﹣")
_KEYCAP: Final = frozenset("\ufe0e\ufe0f\u20e3")


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in {"Cf", "Cc", "Cs"} and character not in "\n\t":
        return "\n" if character in "\r\x0b\x0c\x85" else ""
    if character in _KEYCAP:
        return ""
    if category == "Zs":
        return " "
    if category in {"Zl", "Zp"}:
        return "\n"
    if character in _DASHES:
        return "-"
    # Full-width forms are their ASCII twins. NFKC is not used: it would read "4½" as "41/2".
    return chr(ord(character) - 0xFEE0) if "！" <= character <= "～" else character


def plain(text: str) -> str:
    """Any script's decimal digits as 0-9, full-width forms as ASCII, invisible characters gone."""
    if text.isascii() and text.isprintable():
        return text
    table = {ord(character): _plain_character(character) for character in set(text)}
    return text.replace("\r\n", "\n").translate(table)


def visible(text: str) -> str | None:
    """The text after any reasoning, or None when a think block was opened and never closed."""
    if _FINAL_CHANNEL in text:
        text = text.rpartition(_FINAL_CHANNEL)[2]
    text = _SPECIAL_TOKEN.sub(" ", text)
    for name in _THINK:
        lowered = text.lower()
        closed = lowered.rfind(f"</{name}>")
        if closed >= 0:
            # Also where the opening tag was part of the prompt and only the closing one is in the reply.
            before = lowered.find(f"<{name}>")
            text = (text[:before] if 0 <= before < closed else "") + "\n" + text[closed + len(name) + 3 :]
            lowered = text.lower()
        if f"<{name}>" in lowered:
            return None
    return text.strip()
