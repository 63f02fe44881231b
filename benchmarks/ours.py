"""psymetric's side of a benchmark: tables and calls. It is imported when called, so that a first call pays for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import psymetric as ps

__all__ = ["fitting", "table_of"]


def table_of(scores: np.ndarray) -> ps.ResponseTable:
    """A long table of a complete matrix, shape (subjects, items)."""
    import psymetric as ps

    n_subjects, n_items = scores.shape
    frame = pd.DataFrame(
        {
            "subject": np.repeat(np.arange(n_subjects), n_items),
            "item": np.tile(np.arange(n_items), n_subjects),
            "score": scores.ravel(),
        }
    )
    return ps.ResponseTable.from_frame(frame, response="score", subject="subject", item="item")


def fitting(model: Any, table: ps.ResponseTable, engine: Any) -> Callable[[], float]:
    """A call that fits, with standard errors, and returns the log-likelihood."""
    import psymetric as ps

    def call() -> float:
        found = ps.fit(model, table, engine=engine)
        assert found.log_likelihood is not None
        assert all(np.isfinite(errors).all() for errors in found.standard_errors.values())
        return found.log_likelihood

    return call
