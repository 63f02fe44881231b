"""Steps that move apart: the shift of every step in a focal group, and how large each is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from psymetric.diagnostics.differential_design import Comparison
from psymetric.diagnostics.differential_effects import ets_class
from psymetric.diagnostics.differential_model import DifferentialModel

__all__ = ["largest_step", "step_rows", "step_shifts"]

Array = NDArray[np.float64]

_COLUMNS = ("level", "focal", "step", "category", "estimate", "se", "lower", "upper", "p", "effect_class")


def step_shifts(model: DifferentialModel, values: Array, covariance: Array) -> dict[str, float]:
    """Shift of every step of a cell, in logits, from the cell's parameters: columns step_1, step_1_se, ….

    Args:
        model: Its model.
        values: The shift and the steps' departures from it but the first, shape (steps,).
        covariance: Of the same.
    """
    if not model.shapes or model.with_slopes:
        return {}
    size = len(values)
    by_step = np.eye(size)
    by_step[0, 1:] = -1.0
    by_step[1:, 0] = 1.0
    shifts, errors = by_step @ values, np.sqrt(np.diag(by_step @ covariance @ by_step.T))
    names = [f"step_{step + 1}" for step in range(size)]
    return dict(zip(names, shifts, strict=True)) | {
        f"{name}_se": error for name, error in zip(names, errors, strict=True)
    }


def _steps(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name.startswith("step_") and not name.endswith("_se")]


def largest_step(row: dict[str, float], *, alpha: float) -> tuple[int, float, str]:
    """Which step of a row is shifted furthest, by how much, and its class; step 0 where there are none."""
    names = [name for name in row if name.startswith("step_") and not name.endswith("_se")]
    if not names or not np.isfinite(row[names[0]]):
        return 0, float("nan"), ""
    name = max(names, key=lambda each: abs(row[each]))
    classed = ets_class(np.array([row[name]]), np.array([row[f"{name}_se"]]), alpha=alpha)
    return int(name.removeprefix("step_")), float(row[name]), str(classed[0])


def step_rows(comparison: Comparison, found: pd.DataFrame, *, alpha: float, level: float) -> pd.DataFrame:
    """One row per compared cell and step; none unless steps were freed.

    Args:
        comparison: Who is compared with whom.
        found: One row per cell, with the columns of `step_shifts`.
        alpha: Level of the classes' tests.
        level: Coverage of the intervals.
    """
    names = _steps(found)
    rows = [
        {
            "level": comparison.levels[cell_level],
            "focal": comparison.groups[focal],
            "step": number,
            "category": comparison.categories[number],
            "estimate": row[name],
            "se": row[f"{name}_se"],
        }
        for row, cell_level, focal in zip(
            found.to_dict("records"), comparison.cells.level, comparison.cells.group, strict=True
        )
        for number, name in enumerate(names, 1)
    ]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    estimate, se = (frame[name].to_numpy(np.float64) for name in ("estimate", "se"))
    z = float(norm.ppf((1 + level) / 2))
    frame["lower"], frame["upper"] = estimate - z * se, estimate + z * se
    frame["p"] = 2 * norm.sf(np.abs(estimate) / se)
    frame["effect_class"] = ets_class(estimate, se, alpha=alpha)
    return frame
