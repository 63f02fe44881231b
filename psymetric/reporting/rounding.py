"""Numbers and labels as a reader should see them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from psymetric.plots.style import visible

__all__ = [
    "counted_share",
    "decimals",
    "joined",
    "percent",
    "plain",
    "probability",
    "rounded",
    "signed",
    "two_digits",
    "typical_se",
    "worded",
]

_MOST = 4


def decimals(se: float) -> int:
    """Decimal places that a standard error supports; two where the error is unknown or zero; between 0 and 4.

    Source: after the rule of the Particle Data Group (Review of Particle Physics, introduction, 5.3): two digits of the
    error where its first three are at most 354, else one.
    """
    if not math.isfinite(se) or se <= 0:
        return 2
    exponent = math.floor(math.log10(se))
    first = se / 10.0**exponent
    digits = -exponent + (1 if first < 3.545 else 0)
    return min(max(digits, 0), _MOST)


def rounded(value: float, se: float = math.nan) -> str:
    """A number to the digits its standard error supports, with a true minus sign; `–` where there is none."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.{decimals(se)}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.replace("-", "")


def signed(value: float, se: float = math.nan) -> str:
    """`rounded` with a plus sign before what is positive."""
    text = rounded(value, se)
    return f"+{text}" if value > 0 and re.search(r"[1-9]", text) else text


def worded(value: float, se: float = math.nan) -> str:
    """`rounded` for a sentence: never more than two decimals."""
    return rounded(value, max(se, 0.04) if math.isfinite(se) else se)


def typical_se(errors: Iterable[float]) -> float:
    """The median of the known errors: what decides the digits of a column, so that its numbers stand in line."""
    known = np.array([error for error in errors if math.isfinite(error) and error > 0])
    return float(np.median(known)) if known.size else math.nan


def probability(value: float) -> str:
    """`.97`, rounded towards one half: never said to be surer than it is."""
    if not math.isfinite(value):
        return "–"
    if value > 0.99:
        return "over .99"
    if value < 0.01:
        return "under .01"
    hundredths = math.floor(value * 100 + 1e-9) if value >= 0.5 else math.ceil(value * 100 - 1e-9)
    return f".{hundredths:02d}"


def two_digits(value: float) -> str:
    """A coefficient such as a reliability: `.93`, `>.99`."""
    return "–" if not math.isfinite(value) else ">.99" if value > 0.995 else f"{value:.2f}".removeprefix("0")


def percent(share: float) -> str:
    """`12%`; small shares keep a digit, and neither 0% nor 100% is said of what is not."""
    if not math.isfinite(share):
        return "–"
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share < 0.0005:
        return "<0.1%"
    if share > 0.995:
        return ">99%"
    return f"{share:.1%}" if share < 0.05 else f"{share:.0%}"


def counted_share(part: float, whole: float) -> str:
    """`12 of 340 (3.5%)`."""
    return f"{part:,.0f} of {whole:,.0f}" + (f" ({percent(part / whole)})" if whole else "")


def plain(label: object, limit: int | None = None) -> str:
    """A label as one line of visible text, cut to `limit` characters at the end."""
    text = visible(label)
    return text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"


def joined(words: Iterable[str], *, last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    rest = list(words)
    return f" {last} ".join([", ".join(rest[:-1]), rest[-1]]) if len(rest) > 1 else "".join(rest)
