"""What candidates are worth by a simplex judge: their mean level, as scores that the functions of ranks read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing
from psymetric.data.scores import Scores
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import Table
from psymetric.models.simplex_judge import SimplexJudge
from psymetric.models.truth import PREVALENCE

__all__ = ["candidate_scores", "level_values", "stratum_shares"]

Array = NDArray[np.float64]

_WHO = "candidate_scores"
_MOST = 2_000


def candidate_scores(
    fit: Fit, table: Table, *, values: Sequence[float] | None = None, level: float = 0.95, seed: int = 0
) -> Scores:
    """Mean level of each candidate, from the draws of a simplex judge that NUTS or SVI fitted.

    The scores hold draws as plausible values (2,000 at most), so that `rank_intervals`, `p_best` and
    `pairwise_probabilities` of them are those of the joint posterior. Strata count by their share of all labels, the
    same for every candidate.

    Args:
        fit: Of a `SimplexJudge`, with draws.
        table: What was fitted.
        values: Score of each level; by default the categories where they are numbers, else 0, 1, ...
        level: Coverage of the equal-tailed intervals.
        seed: Chooses among more draws than are kept.

    Returns:
        `subject` (the candidate), `estimate`, `se`, `lower`, `upper`, `n` (labels), `extreme` (never), `pv1`, ....

    Raises:
        DataError: Another model or table, no draws, a level out of range, or values that do not fit the levels.
    """
    model = fit.model
    if not isinstance(model, SimplexJudge):
        raise DataError(f"{_WHO}: got a fit of {type(model).__name__}; candidates are those of a SimplexJudge")
    if fit.draws is None:
        raise DataError(f"{_WHO}: {fit.engine} gives no draws, which means of simplex parameters need: use NUTS()")
    if not 0 < level < 1:
        raise DataError(f"{_WHO}: level={level} is not a coverage between 0 and 1, such as 0.95")
    if table.hash != fit.table_hash:
        raise DataError(f"{_WHO}: the table is not the one that was fitted: pass that one, or fit this one")
    scores = level_values(table.categories, values, _WHO)
    drawn = fit.draws[PREVALENCE]
    means = drawn.reshape(-1, *drawn.shape[2:]) @ scores
    if means.ndim == 3:
        means = means @ stratum_shares(model, table)
    if len(means) > _MOST:
        means = means[np.sort(np.random.default_rng(seed).choice(len(means), _MOST, replace=False))]
    labels = model.levels(table)[model.candidate_axis]
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    frame = pd.DataFrame(
        {
            "subject": list(labels),
            "estimate": means.mean(axis=0),
            "se": means.std(axis=0, ddof=1),
            "lower": lower,
            "upper": upper,
            "n": np.bincount(table.codes[model.candidate_axis], table.weight, len(labels)),
            "extreme": False,
        }
    )
    plausible = pd.DataFrame(means.T, columns=[f"pv{at + 1}" for at in range(len(means))])
    return Scores(
        pd.concat([frame, plausible], axis=1),
        method="plausible",
        level=level,
        unit="level scores",
        carries="The uncertainty of candidates and judges, under the prior that the model states.",
        notes=fit.notes,
        provenance=fit.provenance,
    )


def level_values(categories: Sequence[Label], values: Sequence[float] | None, who: str) -> Array:
    """Score of each level, shape (levels,).

    Raises:
        DataError: Values that are no numbers, or not one for each level.
    """
    if values is None:
        numbers = all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in categories)
        return np.asarray(categories if numbers else range(len(categories)), np.float64)
    given = np.asarray(values, np.float64)
    if given.shape != (len(categories),) or not np.all(np.isfinite(given)):
        raise DataError(
            f"{who}: values={list(values)} must be {counted(len(categories), 'number')}, one for each of "
            f"{listing(categories)}"
        )
    return given


def stratum_shares(model: SimplexJudge, table: Table) -> Array:
    """Share of all labels in each stratum, shape (strata,); one of 1.0 without strata."""
    if model.strata is None:
        return np.ones(1)
    total = np.bincount(table.codes[model.strata], table.weight, len(table.levels[model.strata]))
    return total / total.sum()
