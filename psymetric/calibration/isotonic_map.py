"""Isotonic map: the whole distribution of labels, rising with one judge score and else of any shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from psymetric.calibration.judged import Judged

__all__ = ["IsotonicMap", "fit_isotonic", "rising"]

Array = NDArray[np.float64]

_MOST_CELLS = 2_000
"""Scores in more distinct values are put into as many cells for the bootstrap: far narrower than a step of the map."""
_GRID = 200


@final
@dataclass(frozen=True)
class IsotonicMap:
    """Isotonic distributional regression on one score, linear between the scores that were seen, flat beyond them.

    Attributes:
        scores: Increasing, shape (knots,).
        above: Probability of a label above each category but the last, shape (categories - 1, knots).
        grid: Scores at which the standard error was computed, shape (places,).
        grid_se: Of the expected value of the label, shape (places,).
    """

    scores: Array
    above: Array
    grid: Array
    grid_se: Array

    def probabilities(self, judged: Judged) -> Array:
        """Of every category, shape (rows, categories)."""
        above = [np.interp(judged.x[:, 0], self.scores, row) for row in self.above]
        # Curves that touch may cross by a rounding error.
        return np.maximum(-np.diff(np.column_stack(above), axis=1, prepend=1.0, append=0.0), 0.0)

    def standard_error(self, judged: Judged, values: Array) -> Array:
        """Of the expected value of the label, from the bootstrap over groups, shape (rows,).

        `values` are those the map was fitted with.
        """
        del values
        return np.interp(judged.x[:, 0], self.grid, self.grid_se)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists."""
        return {name: getattr(self, name).tolist() for name in ("scores", "above", "grid", "grid_se")}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(*(np.array(record[name], np.float64) for name in ("scores", "above", "grid", "grid_se")))


def fit_isotonic(
    judged: Judged,
    codes: NDArray[np.int32],
    group: NDArray[np.int32],
    *,
    values: Array,
    draws: int,
    rng: np.random.Generator,
) -> IsotonicMap:
    """Isotonic regression of every event "above category k" on the score.

    The regressions do not cross, so that together they are a distribution (for two categories: the usual isotonic
    calibration). Its expectation rises with the score. The standard error is that of a bootstrap over groups; for
    scores of many distinct values the bootstrap of an isotonic curve is an approximation (Sen et al., 2010).

    Args:
        judged: Rows with one score.
        codes: Label, 0…K−1, shape (rows,).
        group: Rows of one group are drawn together, shape (rows,).
        values: Of the categories, rising, shape (K,).
        draws: Bootstrap samples; 0 leaves the standard error zero.
        rng: Of the bootstrap.

    Source: Zadrozny & Elkan (2002); Henzi, Ziegel & Gneiting (2021), eq. 3, for the distribution.
    """
    scores, cell = np.unique(judged.x[:, 0], return_inverse=True)
    above = _above(cell, codes, np.ones(len(codes)), len(scores), len(values))
    # Only the ends of the steps are needed to draw the lines between them.
    turns = np.any(np.diff(above, axis=1) != 0, axis=0)
    kept = np.concatenate([[True], turns]) | np.concatenate([turns, [True]])
    found = IsotonicMap(scores[kept], above[:, kept], scores[:1], np.zeros(1))
    if not draws:
        return found
    if len(scores) > _MOST_CELLS:
        edges = np.quantile(judged.x[:, 0], np.linspace(0, 1, _MOST_CELLS + 1)[1:-1])
        _, cell = np.unique(np.searchsorted(edges, judged.x[:, 0]), return_inverse=True)
        scores = np.bincount(cell, judged.x[:, 0]) / np.bincount(cell)
    grid = np.unique(np.quantile(scores, np.linspace(0, 1, _GRID)))
    n_groups, expected = int(group.max()) + 1, np.empty((draws, len(grid)))
    present = np.unique(group)
    for draw in range(draws):
        drawn = np.bincount(rng.choice(present, len(present)), minlength=n_groups).astype(np.float64)
        curves, seen = _drawn(cell, codes, drawn[group], scores, len(values))
        expected[draw] = values[0] + sum(
            step * np.interp(grid, seen, row) for step, row in zip(np.diff(values), curves, strict=True)
        )
    return IsotonicMap(found.scores, found.above, grid, expected.std(axis=0, ddof=1))


def rising(means: Array, weight: Array) -> Array:
    """Isotonic regression: the nearest rising sequence in weighted squares, shape (values,)."""
    return np.asarray(isotonic_regression(means, sample_weight=weight), np.float64)


def _drawn(
    cell: NDArray[np.intp], codes: NDArray[np.int32], weight: Array, scores: Array, n_categories: int
) -> tuple[Array, Array]:
    """The curves of a weighted sample, and the scores that are in it."""
    total = np.bincount(cell, weight, len(scores))
    seen = total > 0
    return _above(cell, codes, weight, len(scores), n_categories, seen), scores[seen]


def _above(
    cell: NDArray[np.intp],
    codes: NDArray[np.int32],
    weight: Array,
    n_cells: int,
    n_categories: int,
    seen: NDArray[np.bool_] | slice = slice(None),
) -> Array:
    """Rising chance of a label above each category but the last, shape (categories - 1, cells seen)."""
    joint = np.bincount(cell * n_categories + codes, weight, n_cells * n_categories).reshape(n_cells, n_categories)
    joint = joint[seen]
    total = joint.sum(axis=1)
    reached = 1 - np.cumsum(joint, axis=1)[:, :-1].T / total
    return np.array([rising(row, total) for row in np.clip(reached, 0, 1)])
