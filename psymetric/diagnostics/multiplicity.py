"""Probabilities of many tests, adjusted for how many there are."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

__all__ = ["adjusted"]

Array = NDArray[np.float64]


def adjusted(p: Array, method: Literal["holm", "fdr_bh"] = "holm") -> Array:
    """Probabilities adjusted for how many there are, NaN left out, shape (tests,).

    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70; Benjamini & Hochberg (1995), Journal of the Royal
    Statistical Society B 57, 289-300.
    """
    found, known = np.full(len(p), np.nan), np.isfinite(p)
    if known.any():
        found[known] = multipletests(p[known], method=method)[1]
    return found
