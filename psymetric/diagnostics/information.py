"""Predictive accuracy of a Bayesian fit for a new subject: leave-one-subject-out and WAIC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import jax
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from jax.scipy.special import logsumexp as jax_logsumexp
from numpy.typing import NDArray
from scipy.special import logsumexp

from psymetric.core.precision import double_precision
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.predictive import require_own_table
from psymetric.errors import DataError
from psymetric.estimation.arviz_adapter import pareto_smoothed
from psymetric.estimation.fit import Fit
from psymetric.estimation.integrated import placed_problem
from psymetric.estimation.marginal import resolved_problem
from psymetric.estimation.multidimensional import MultidimensionalProblem
from psymetric.estimation.problems import MarginalProblem
from psymetric.models.base import ABILITY
from psymetric.models.space import has_dimensions

__all__ = ["InformationCriteria", "information_criteria", "subject_log_likelihoods"]

Array = NDArray[np.float64]

_WHO = "information_criteria"
_UNRELIABLE = 0.7
"""Pareto k-hat above which leaving a subject out by weighting fails (Vehtari, Gelman & Gabry, 2017)."""
_NOISY_VARIANCE = 0.4
"""Posterior variance of a subject's log-likelihood above which WAIC is unreliable (same source)."""


@final
@dataclass(frozen=True)
class InformationCriteria:
    """Expected log predictive density for a new subject.

    Attributes:
        frame: One row per criterion ("loo", "waic"): criterion, elpd (sum over subjects, nats), se, p (effective
            number of parameters), ic (−2 elpd), subjects, unreliable (how many subjects' terms cannot be trusted).
        pointwise: One row per subject: subject, elpd_loo, p_loo, pareto_k, elpd_waic, p_waic.
        notes: What a reader of the numbers must know, as sentences.
    """

    frame: pd.DataFrame
    pointwise: pd.DataFrame
    notes: tuple[str, ...]


def information_criteria(fit: Fit, table: ResponseTable, *, draws: int = 1_000) -> InformationCriteria:
    """Leave-one-subject-out cross-validation by Pareto-smoothed importance sampling, and WAIC.

    The likelihood of a subject is that of all its responses with its ability integrated out over the population: the
    question is how well the model foresees a new subject. Taken per response and given the ability, importance
    weights fail where subjects have few responses. Models are compared on one table, by the difference of their
    pointwise elpd and n^½ times its sd.

    Args:
        fit: A fit with draws (`NUTS`, `SVI`, `Laplace`) of a model with subjects.
        table: The table that was fitted. Subjects without responses are left out.
        draws: Most draws to use, spread evenly over those of the fit.

    Raises:
        DataError: A fit without draws, another table, a model without subjects, fewer than ten draws.

    Source: Vehtari, Gelman & Gabry (2017), Statistics and Computing 27, 1413-1432, eqs. 3-13; Merkle, Furr &
    Rabe-Hesketh (2019), Psychometrika 84, 802-829 (why subjects are integrated out).
    """
    require_own_table(fit, table, who=_WHO)
    if fit.draws is None:
        raise DataError(f"{_WHO}: {fit.engine} has no posterior draws: fit with NUTS(), SVI() or Laplace()")
    if draws < 10:
        raise DataError(f"{_WHO}: draws={draws} must be at least 10")
    answered = np.bincount(table.codes["subject"], table.weight, len(table.levels["subject"])) > 0
    log_likelihood = subject_log_likelihoods(fit, table, draws=draws)[:, answered].T
    density = logsumexp(log_likelihood, axis=1) - np.log(log_likelihood.shape[1])
    log_weight, k_hat = pareto_smoothed(-log_likelihood)
    loo = logsumexp(log_likelihood + log_weight, axis=1)
    variance = log_likelihood.var(axis=1, ddof=1)
    pointwise = pd.DataFrame(
        {
            "subject": pd.Series([table.levels["subject"][i] for i in np.flatnonzero(answered)], dtype=object),
            "elpd_loo": loo,
            "p_loo": density - loo,
            "pareto_k": k_hat,
            "elpd_waic": density - variance,
            "p_waic": variance,
        }
    )
    bad = {"loo": k_hat > _UNRELIABLE, "waic": variance > _NOISY_VARIANCE}
    frame = pd.DataFrame([_line(pointwise, name, int(flags.sum())) for name, flags in bad.items()])
    return InformationCriteria(frame, pointwise, _notes(bad))


def _line(pointwise: pd.DataFrame, name: str, unreliable: int) -> dict[str, Any]:
    terms = pointwise[f"elpd_{name}"].to_numpy(np.float64)
    elpd, n = float(terms.sum()), len(terms)
    se = float(np.sqrt(n) * terms.std(ddof=1)) if n > 1 else float("nan")
    effective = float(pointwise[f"p_{name}"].sum())
    return {
        "criterion": name, "elpd": elpd, "se": se, "p": effective, "ic": -2 * elpd, "subjects": n,
        "unreliable": unreliable,
    }  # fmt: skip


def _notes(bad: Mapping[str, NDArray[np.bool_]]) -> tuple[str, ...]:
    notes: list[str] = []
    if n := int(bad["loo"].sum()):
        notes.append(f"loo: Pareto k-hat exceeds {_UNRELIABLE} for {n} subjects: refit without them to be sure")
    if n := int(bad["waic"].sum()):
        notes.append(f"waic: the variance term exceeds {_NOISY_VARIANCE} for {n} subjects: prefer loo")
    return tuple(notes)


def subject_log_likelihoods(fit: Fit, table: ResponseTable, *, draws: int) -> Array:
    """Log-likelihood of every subject's responses, ability integrated out, shape (draws, subjects)."""
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in (fit.draws or {}).items() if name != ABILITY}
    n_draws = len(next(iter(flat.values())))
    kept = np.linspace(0, n_draws - 1, min(draws, n_draws)).astype(np.int64)
    with double_precision():
        chosen = {name: jax.device_put(value[kept]) for name, value in flat.items()}
        if has_dimensions(fit.model):
            return np.asarray(_log_marginals(placed_problem(fit.model, table, fit.parameters), chosen))
        problem, _ = resolved_problem(fit.model, table, fit.parameters, prior=False)
        # Twice the nodes that the estimates need serve the draws around them too.
        problem = problem.with_grid(2 * len(problem.nodes), problem.half_width)
        return np.asarray(_log_likelihoods(problem, chosen))


@jax.jit
def _log_marginals(problem: MultidimensionalProblem, draws: dict[str, JaxArray]) -> JaxArray:
    return jax.lax.map(problem.log_marginals, draws)


@jax.jit
def _log_likelihoods(problem: MarginalProblem, draws: dict[str, JaxArray]) -> JaxArray:
    def one(params: dict[str, JaxArray]) -> JaxArray:
        return jax_logsumexp(problem.log_joint_at(params), axis=1)

    return jax.lax.map(one, draws)
