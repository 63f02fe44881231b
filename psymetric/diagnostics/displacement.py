"""Displacement: how far the responses would move a level from the value it was anchored at."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.bias import estimate_terms, stuck_cells
from psymetric.diagnostics.moments import measure
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit

__all__ = ["displacement"]

Array = NDArray[np.float64]

_WHO = "displacement"


def displacement(fit: Fit, table: ResponseTable, *, logits: float = 0.5, t: float = 2.0) -> pd.DataFrame:
    """How far each anchored level's own responses pull it from its anchor.

    For each anchored level the maximum-likelihood estimate of one number added to its anchor, everything else as
    fitted: a positive displacement says that the level is more difficult, or more severe, now than its anchor has it.
    Subjects are integrated out as in `bias_analysis`. The population and the free levels have given way to a wrong
    anchor when the model was fitted, so that its displacement understates the error, and right anchors beside it show
    some of it with the opposite sign: mend the largest displacement first, and fit again.

    A level is flagged where the displacement is both large and sure: a half logit rarely changes a decision, and two
    standard errors arise by chance in one level of twenty.

    Args:
        fit: A fit of a model with anchors, such as `ManyFacetRasch(anchors={"item": {"warmth": 0.2}})`.
        table: The responses.
        logits: Displacements beyond this are large, positive.
        t: Displacements beyond this many standard errors are sure, positive.

    Returns:
        One row per anchored level: facet, level, anchor, displacement, se (logits), t, n (sum of weights; 0 where the
        table lacks the level), flag, note (levels without a finite estimate).

    Raises:
        DataError: A fit without anchors, bounds that are not positive, or a mismatch of fit and table.

    Source: Linacre, FACETS and Winsteps manuals, "displacement"; Wright & Douglas (1977), Applied Psychological
    Measurement 1, 281-295.
    """
    anchored = [spec for spec in fit.model.parameters if spec.anchors]
    if not anchored:
        raise DataError(f"{_WHO}: the fit has no anchors; fit with anchors= naming levels and their values")
    if not (logits > 0 and t > 0):
        raise DataError(f"{_WHO}: logits={logits} and t={t} must be positive, such as 0.5 and 2")
    measured = measure(fit, table, who=_WHO)
    weight = np.where(measured.extreme, 0.0, measured.rows.weight)
    frames: list[pd.DataFrame] = []
    for spec in anchored:
        facet = spec.axes[0]
        levels = fit.levels[facet]
        cell = measured.rows.codes[facet].astype(np.int64)
        n = np.bincount(cell, weight, len(levels)).astype(np.float64)
        stuck = stuck_cells(measured.rows, weight, cell, n)
        place = np.array([levels.index(label) for label, _ in spec.anchors])
        wanted = np.isin(cell, place)
        moved, se = estimate_terms(measured, cell, len(levels), wanted & (weight > 0) & ~stuck[cell])
        note = np.where(n == 0, "no responses to judge by", np.where(stuck, "all lowest or all highest", ""))
        frames.append(
            pd.DataFrame(
                {
                    "facet": facet,
                    "level": [label for label, _ in spec.anchors],
                    "anchor": [value for _, value in spec.anchors],
                    "displacement": moved[place],
                    "se": se[place],
                    "t": moved[place] / se[place],
                    "n": np.bincount(cell, measured.rows.weight, len(levels))[place],
                    "flag": (np.abs(moved) > logits)[place] & (np.abs(moved) > t * se)[place],
                    "note": note[place],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
