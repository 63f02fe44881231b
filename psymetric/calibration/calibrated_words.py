"""A calibrated estimate in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from psymetric.data.messages import counted

__all__ = ["claim"]

_NAMES: Final[Mapping[str, str]] = {"mean": "mean", "difference": "difference", "win_rate": "win rate"}


def claim(row: Mapping[str, Any], estimand: str, level: float) -> tuple[str, str]:
    """What a row of `calibrated_estimate` says: the estimate; the judge's bias, what it was worth, what to do next."""
    of = " in ".join(str(row[key]) for key in ("system", "by") if key in row)
    joint = " " if estimand == "difference" else " of "
    name = f"{_NAMES[estimand]}{joint}{of}" if of else _NAMES[estimand]
    if np.isnan(row["estimate"]):
        return f"No {name}: {row['note']}.", ""
    places = _places(row["se"])
    number, lower, upper, judge, bias, people = (
        f"{row[key]:.{places}f}" for key in ("estimate", "lower", "upper", "judge_alone", "bias", "people_alone")
    )
    ends = f"{row['bias_lower']:.{places}f} to {row['bias_upper']:.{places}f}"
    sure = row["bias_lower"] > 0 or row["bias_upper"] < 0
    off = f"off by {bias} ({ends})" if sure else f"off by {bias}, which may be chance ({ends})"
    n = int(row["n_labels"])
    said = (
        f"{name[0].upper()}{name[1:]}: {number} ({level:.0%} {lower} to {upper}), from {counted(n, 'label')} and "
        f"{counted(int(row['n_judged']), 'verdict')}."
    )
    more = (
        f"The judge alone says {judge}, {off}. The labels alone say {people}; with the verdicts they are worth "
        f"{row['effective_labels']:,.0f}. {_next(row)}"
    )
    return said, f"{more} Note: {row['note']}." if row["note"] else more


def _next(row: Mapping[str, Any]) -> str:
    labels, verdicts = row["more_labels"], row["more_judgements"]
    if np.isfinite(labels):
        return f"{labels:,.0f} more labels would halve the interval."
    if np.isfinite(verdicts):
        return f"Labels alone cannot halve the interval; {verdicts:,.0f} more verdicts would."
    return "Neither labels nor verdicts alone can halve the interval: four times both would."


def _places(se: float) -> int:
    """Decimals that show two digits of the standard error."""
    return int(np.clip(1 - np.floor(np.log10(se)), 0, 6)) if se > 0 else 3
