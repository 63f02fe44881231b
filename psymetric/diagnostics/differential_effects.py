"""How large a difference in functioning is: the ETS classes, and what it does to expected scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.stats import norm

from psymetric.diagnostics.differential_model import CELL, SHIFT, DifferentialModel
from psymetric.estimation.problems import MarginalProblem

__all__ = [
    "DELTA",
    "LARGE",
    "MODERATE",
    "ScoreEffect",
    "cell_discriminations",
    "class_probabilities",
    "essd_size",
    "ets_class",
    "score_effects",
]

Array = NDArray[np.float64]

DELTA = -2.35
"""ETS delta units per logit of difficulty: negative where an item is harder for the focal group."""
MODERATE, LARGE = 1 / 2.35, 1.5 / 2.35
"""One and one and a half delta units in logits, .43 and .64 when rounded."""
_SIZES = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"), (np.inf, "large"))


def ets_class(estimate: Array, se: Array, *, alpha: float = 0.05) -> NDArray[np.str_]:
    """A (negligible), B (moderate) or C (large), by the rule of the Educational Testing Service; "" where unknown.

    A: below .43 logits or not different from 0 (two-sided); C: .64 logits or more, and more than .43 beyond chance
    (one-sided); B: the rest.

    Args:
        estimate: Differences in logits.
        se: Their standard errors.
        alpha: Level of both tests.

    Source: Zieky (1993), in Holland & Wainer, Differential Item Functioning, 337-347; Zwick (2012), ETS Research Report
    RR-12-08; Linacre, Winsteps manual, "DIF: size" (the same bounds for rating scales).
    """
    size = np.abs(estimate)
    with np.errstate(invalid="ignore", divide="ignore"):
        differs = 2 * norm.sf(size / se) < alpha
        large = (size >= LARGE) & (norm.sf((size - MODERATE) / se) < alpha)
    found = np.where(differs & (size >= MODERATE), np.where(large, "C", "B"), "A")
    return np.where(np.isfinite(size) & np.isfinite(se), found, "")


def class_probabilities(draws: Array) -> Array:
    """Posterior probabilities of the classes A, B and C by size alone, shape (3, cells), from (draws, cells) logits.

    Source: Zwick, Thayer & Lewis (1999), Journal of Educational Measurement 36, 1-28.
    """
    size = np.abs(draws)
    at_least, large = np.mean(size >= MODERATE, axis=0), np.mean(size >= LARGE, axis=0)
    return np.stack([1 - at_least, at_least - large, large])


def essd_size(essd: Array) -> NDArray[np.str_]:
    """Cohen's words for a standardised difference between expected scores: .2 small, .5 medium, .8 large."""
    words = np.array([word for _, word in _SIZES])
    place = np.searchsorted([bound for bound, _ in _SIZES[:-1]], np.nan_to_num(np.abs(essd)), side="right")
    return np.where(np.isfinite(essd), words[place], "")


@final
@dataclass(frozen=True)
class ScoreEffect:
    """What a cell's difference does to the expected score of a response, over the focal group's abilities.

    Attributes:
        signed: Mean of focal minus reference (SIDS), in score points; negative where the focal group gets less.
        unsigned: Mean of its absolute value (UIDS): larger where the curves cross.
        standardised: Signed, over the pooled sd of the two expected scores (ESSD).
    """

    signed: float
    unsigned: float
    standardised: float


def score_effects(
    problem: MarginalProblem, model: DifferentialModel, counts: Array, free: Array, cell: int
) -> ScoreEffect:
    """Meade's indices of one cell, with the focal group's estimated normal population in place of point estimates.

    Args:
        problem: The marginal problem, whose nodes are the subjects' distribution.
        model: Its model.
        counts: Responses behind each distinct combination of levels, shape (combinations,).
        free: Free vector of a solution, with the cell's parameters in it.
        cell: The cell.

    Source: Meade (2010), Journal of Applied Psychology 95, 728-743.
    """
    rows = np.flatnonzero(np.asarray(problem.cells[CELL]) == cell + 1)
    share = counts[rows] / counts[rows].sum()
    focal, reference = (
        share @ np.asarray(scores)[rows]
        for scores in _expected(problem, jnp.asarray(free), cell + 1, (SHIFT, *model.shapes))
    )
    weight = np.exp(np.asarray(problem.log_weights))
    weight = weight / weight.sum()
    gap = focal - reference
    spread = [float(weight @ (curve - weight @ curve) ** 2) for curve in (focal, reference)]
    pooled, signed = float(np.sqrt(np.mean(spread))), float(weight @ gap)
    return ScoreEffect(signed, float(weight @ np.abs(gap)), signed / pooled if pooled > 0 else float("nan"))


@partial(jax.jit, static_argnames="names")
def _expected(problem: MarginalProblem, free: JaxArray, cell: int, names: tuple[str, ...]) -> tuple[JaxArray, JaxArray]:
    """Expected scores with and without one cell's difference, shape (combinations, nodes) each."""
    params = problem.space.constrain(free)
    alike = params | {name: params[name].at[cell].set(0.0) for name in names}
    score = jnp.arange(problem.n_categories, dtype=free.dtype)

    def curve(values: dict[str, JaxArray]) -> JaxArray:
        log_probs = problem.table(values).reshape(-1, problem.n_categories, problem.nodes.shape[0])
        return jnp.einsum("ckq,k->cq", jnp.exp(log_probs), score)

    return curve(params), curve(alike)


def cell_discriminations(
    model: DifferentialModel, problem: MarginalProblem, counts: Array, params: dict[str, Array]
) -> Array:
    """Mean slope of every cell's responses in the reference group, shape (cells,): logits per unit of ability."""
    cell = np.asarray(problem.cells[CELL])
    values = {name: jnp.asarray(value) for name, value in params.items()}
    slope = np.broadcast_to(np.asarray(model.discrimination(values, problem.cells)), cell.shape)
    n_cells = int(params[SHIFT].shape[0])
    return np.bincount(cell, counts * slope, n_cells)[1:] / np.bincount(cell, counts, n_cells)[1:]
