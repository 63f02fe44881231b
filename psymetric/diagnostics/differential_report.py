"""Differences in functioning as a tidy frame: labels, classes, multiplicity, and flags in words."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.diagnostics.differential_design import NAMED, Comparison
from psymetric.diagnostics.differential_effects import DELTA, LARGE, MODERATE, essd_size, ets_class
from psymetric.diagnostics.differential_steps import largest_step
from psymetric.diagnostics.multiplicity import adjusted

__all__ = ["CLASS_WORDS", "Correction", "labelled", "shown_p"]

Array = NDArray[np.float64]
Correction = Literal["holm", "fdr_bh", "none"]

CLASS_WORDS = {"A": "negligible", "B": "moderate", "C": "large"}
_SHOWN_P = 0.001


def shown_p(p: float) -> str:
    """A probability as a reader wants it: three digits, or that it is smaller than these can say."""
    return f"under {_SHOWN_P}" if p < _SHOWN_P else f"{p:.3f}"


def labelled(comparison: Comparison, found: pd.DataFrame, *, correction: Correction, alpha: float) -> pd.DataFrame:
    """The public frame: a row for every level and focal group, those that could not be compared with a note."""
    rows = found.assign(level=comparison.cells.level, group=comparison.cells.group)
    lost = [
        {"level": level, "group": group, "note": note, "anchor": note == NAMED}
        for level, group, note in comparison.excluded
    ]
    frame = pd.concat([rows, pd.DataFrame(lost)], ignore_index=True) if lost else rows
    frame = frame.sort_values(["group", "level"], ignore_index=True)
    level, group = frame["level"].to_numpy(np.int64), frame["group"].to_numpy(np.int64)
    frame["anchor"] = frame["anchor"].astype(bool)
    frame["n_focal"] = comparison.n[level, group]
    frame["n_reference"] = comparison.n[level, comparison.groups.index(comparison.reference)]
    frame["level"] = pd.Index(list(comparison.levels)).take(level)
    frame["focal"] = pd.Index(list(comparison.groups)).take(group)
    frame = _with_slopes(frame)
    slope = np.abs(frame["discrimination"].to_numpy(np.float64))
    size, se = (slope * frame[name].to_numpy(np.float64) for name in ("estimate", "estimate_se"))
    frame["delta"], frame["essd_size"] = DELTA * size, essd_size(frame["essd"].to_numpy(np.float64))
    if "p_a" in frame:
        frame["effect_class"] = _most_probable(frame[["p_a", "p_b", "p_c"]].to_numpy(np.float64))
    else:
        frame["effect_class"] = ets_class(size, se, alpha=alpha)
        p = frame["p"].to_numpy(np.float64)
        frame["p_holm"], frame["p_bh"] = adjusted(p, "holm"), adjusted(p, "fdr_bh")
    frame["flag"] = [_flag(row, comparison, correction, alpha) for row in frame.to_dict("records")]
    frame = frame.rename(columns={f"estimate_{part}": part for part in ("se", "lower", "upper")})
    return frame[[name for name in _COLUMNS if name in frame]]


_COLUMNS = (
    *("level", "focal", "n_reference", "n_focal", "anchor", "estimate", "se", "lower", "upper"),
    *("slope_ratio", "slope_lower", "slope_upper", "statistic", "df", "p", "p_holm", "p_bh", "p_a", "p_b", "p_c"),
    *("delta", "effect_class", "sids", "uids", "essd", "essd_size", "flag", "note"),
)


def _with_slopes(frame: pd.DataFrame) -> pd.DataFrame:
    if "log_slope" not in frame:
        return frame
    names = {"slope_ratio": "log_slope", "slope_lower": "log_slope_lower", "slope_upper": "log_slope_upper"}
    return frame.assign(**{name: np.exp(frame[log]) for name, log in names.items()})


def _most_probable(probabilities: Array) -> NDArray[np.str_]:
    known = np.isfinite(probabilities).all(axis=1)
    best = np.array(list(CLASS_WORDS))[np.argmax(np.nan_to_num(probabilities), axis=1)]
    return np.where(known, best, "")


def _flag(row: dict[Any, Any], comparison: Comparison, correction: Correction, alpha: float) -> str:
    """Why to look at a row, in words: a test that passes its level and a size that matters."""
    if row["effect_class"] == "":
        return ""
    if "p_a" in row:
        sure, why = row["p_a"] < alpha, f"negligible with probability {row['p_a']:.3f}"
    else:
        name = {"holm": "p_holm", "fdr_bh": "p_bh", "none": "p"}[correction]
        sure, why = row[name] < alpha, f"{name} {shown_p(row[name])}"
    parts: list[str] = []
    step, shift, size_class = largest_step(row, alpha=alpha)
    if size_class in ("B", "C"):
        category = comparison.categories[step]
        parts.append(f"step into {category!r} {shift:+.2f} logits, {CLASS_WORDS[size_class]}")
    if row["effect_class"] != "A":
        way = "harder or more severe" if row["estimate"] > 0 else "easier or more lenient"
        bounds = f"{MODERATE:.2f} to {LARGE:.2f}" if row["effect_class"] == "B" else f"{LARGE:.2f} or more"
        parts.append(
            f"{way} for {row['focal']!r} than for {comparison.reference!r} by {abs(row['estimate']):.2f} logits, "
            f"{CLASS_WORDS[row['effect_class']]} ({row['effect_class']}: {bounds})"
        )
    if not 1 / _RATIO < row.get("slope_ratio", 1.0) < _RATIO:
        parts.append(f"slope {row['slope_ratio']:.2f} times that for {comparison.reference!r}")
    if row["essd_size"] not in ("", "negligible"):
        parts.append(f"expected score {row['sids']:+.2f} points, {row['essd_size']} (ESSD {row['essd']:+.2f})")
    return "; ".join([*parts, why]) if sure and parts else ""


_RATIO = 1.5
"""A ratio of slopes that is worth a flag: half as steep again, or the inverse."""
