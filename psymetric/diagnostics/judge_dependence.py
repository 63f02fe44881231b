"""Whether judges agree beyond what the truth explains: a score test of every pair, whatever the latent-truth model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import norm

from psymetric.core.distinct import distinct, distinct_places
from psymetric.core.parameters import ParameterSpace
from psymetric.core.precision import double_precision
from psymetric.data.messages import counted
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.judge_information import judge_confusion, judged_labels
from psymetric.diagnostics.label_pairs import LabelPairs, label_pairs
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.errors import DataError, DesignError
from psymetric.estimation.fit import Fit
from psymetric.estimation.truth import TruthData, TruthProblem, truth_data, truth_problem
from psymetric.models.covariates import by_level
from psymetric.models.shared_state import AbstractSharedStateModel
from psymetric.models.truth import AbstractTruthModel

__all__ = ["JudgeDependence", "judge_dependence"]

Array = NDArray[np.float64]

_WHO = "judge_dependence"
_FEWEST = 20
"""Common subjects below which the normal approximation of a sum is not to be trusted."""
_ENOUGH = 5
"""Subjects of every judge per parameter from which the scores of the parameters are taken out."""
_LEAST = 1e-9
"""Probabilities are at least this, so that a free vector exists for them."""
_CHUNK = 20_000_000


@final
@dataclass(frozen=True, repr=False)
class JudgeDependence:
    """Agreement of judges beyond what a latent truth explains.

    Attributes:
        frame: One row per pair of judges with common subjects, the most dependent first; columns as in
            `judge_dependence`.
        pooled: The same columns for sums over pairs: "all pairs", and by family where these are given.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    pooled: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        flagged = int((self.frame["flag"] != "").sum())
        title = f"{counted(len(self.frame), 'pair')} of judges, {flagged:,} flagged"
        shown = (part.round(3).to_string(index=False, max_rows=20) for part in (self.pooled, self.frame))
        return "\n".join([title, *shown, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def judge_dependence(
    fit: Fit, table: ResponseTable, *, family: str | None = None, level: float = 0.95, alpha: float = 0.05
) -> JudgeDependence:
    r"""Test that judges are independent given the truth, pair by pair.

    Had judges a and b a dependence of their own, $P(x_a, x_b \mid m) \propto \theta_{a,m,x_a} \theta_{b,m,x_b}
    \exp(\delta [x_a = x_b])$, the score of δ at 0 would be the agreements less those that the posterior of the truth
    expects. What of it the estimates of the model could take up is taken out subject by subject (Neyman's C(α) test),
    so that the p-value allows for estimated parameters without a refit, under maximum likelihood as with a weak prior.
    Where a judge labelled fewer than five subjects per parameter that cannot be done: the score is then taken as it
    is, whose variance is the larger one, and a note says so.

    A truth that explains agreement badly shows here, whatever the reason: judges of one family, hard subjects, a truth
    of more categories than the labels have. Intervals of the fit are too narrow then, `FamilyDawidSkene` and `GLAD`
    are models of it.

    Args:
        fit: A fit of a latent-truth model whose labels are independent given the truth.
        table: The fitted table.
        family: A column with the family of each judge, to pool the pairs within each, and those across.
        level: Coverage of the intervals, in (0, 1).
        alpha: Level of the flags, for all pairs together (Holm).

    Returns:
        Columns first, second (judges), n (common subjects), agreement and expected (shares of these; expected given
        the posterior of the truth, which the labels themselves have drawn towards agreement), log_odds (one-step
        estimate of δ: 0 is independence, above 0 they agree too often), se, lower, upper, z, p, p_adjusted (Holm over
        pairs), flag ("dependent", "opposed", or why there is no test). A pair of fewer than 20 common subjects, or
        whose agreement the parameters reproduce by themselves, has NaN in place of the test.

    Raises:
        DesignError: A fit of another model, or of one with dependence of its own (`GLAD`, `FamilyDawidSkene`).
        DataError: No two judges with a common subject, level or alpha outside (0, 1), a column that is none or that
            varies within a judge.

    Source: Neyman (1959), in Grenander (ed.), Probability and Statistics, 213-234; score tests of local dependence in
    latent classes: Oberski, van Kollenburg & Vermunt (2013), Advances in Data Analysis and Classification 7, 267-279.
    """
    model = _check(fit, table, level, alpha)
    families = _families(table, model, family)
    with double_precision():
        data = truth_data(model, table)
        problem = truth_problem(model, table, prior=False)
        params = jax.device_put({name: np.asarray(value, np.float64) for name, value in fit.parameters.items()})
        labels = judged_labels(model, table, most=len(data.known), seed=0)
        confusion = np.asarray(jax.jit(judge_confusion)(labels, params))
        truth, scores = _posterior_and_scores(problem, data, problem.space.unconstrain(_inside(fit.parameters)))
    pairs = label_pairs(model, data, len(table.categories))
    if not len(pairs.first):
        raise DataError(f"{_WHO}: no subject has labels by two judges, so that nothing can agree")
    expected = pairs.expected(truth, confusion)
    residual = pairs.same - expected
    is_dense = _labelled(model, data, len(confusion)).min() >= _ENOUGH * problem.space.size
    taken = scores if is_dense else None
    sums = _tests(pairs, residual, taken, data.multiplicity)
    frame = _frame(pairs, expected, sums, level, alpha, model.levels(table)[model.over])
    pooled = _pooled(pairs, expected, residual, taken, data.multiplicity, families, level, alpha)
    sparse = (
        f"a judge labelled fewer than {_ENOUGH} subjects for each of the {problem.space.size} parameters of the model: "
        "the tests make no allowance for estimated parameters and are cautious",
    )
    return JudgeDependence(frame, pooled, () if is_dense else sparse)


def _labelled(model: AbstractTruthModel, data: TruthData, n_judges: int) -> Array:
    """Subjects that each judge labelled, shape (judges,)."""
    entries = data.counts.tocoo()
    pattern, place = (np.asarray(code, np.int64) for code in entries.coords)
    judge = data.cells[model.over].astype(np.int64)[place // (data.counts.shape[1] // len(data.cells[model.over]))]
    own = distinct(pattern * n_judges + judge, data.counts.shape[0] * n_judges)
    return np.bincount(own % n_judges, data.multiplicity[own // n_judges], n_judges)


def _check(fit: Fit, table: ResponseTable, level: float, alpha: float) -> AbstractTruthModel:
    if not isinstance(fit.model, AbstractTruthModel):
        raise DesignError(f"{_WHO} needs a fit of a latent-truth model such as DawidSkene, not {type(fit.model).__name__}")
    if isinstance(fit.model, AbstractSharedStateModel):
        raise DesignError(
            f"{_WHO}: {type(fit.model).__name__} has a dependence of its own: test DawidSkene() or OneCoin() on the "
            "same table, and compare the fits"
        )
    for name, value in (("level", level), ("alpha", alpha)):
        if not 0 < value < 1:
            raise DataError(f"{_WHO}: {name}={value} must lie between 0 and 1")
    return fit.model


def _families(table: ResponseTable, model: AbstractTruthModel, family: str | None) -> tuple[Array, tuple[object, ...]]:
    """Family of each judge, gold apart, shape (judges,), and the labels of the families."""
    judges = model.levels(table)[model.over]
    if family is None:
        return np.zeros(len(judges)), ()
    if family not in table.levels:
        raise DataError(f"{_WHO}: the table has no column {family!r}: it has {list(table.levels)}")
    code = by_level(table, family, model.over)
    kept = [label in judges for label in table.levels[model.over]]
    return code[kept].astype(np.float64), tuple(table.levels[family])


def _inside(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """The estimates, probabilities of zero a little above it."""
    return {
        name: np.clip(value, _LEAST, 1 - _LEAST) if np.all((value >= 0) & (value <= 1)) else value
        for name, value in parameters.items()
    }


def _posterior_and_scores(problem: TruthProblem, data: TruthData, point: Array) -> tuple[Array, Array]:
    """Probabilities of truths, (patterns, truths), and derivatives of the log-likelihood, (patterns, parameters).

    By Fisher's identity the derivative of a sum over truths is the mean of those of its terms under the posterior.
    """
    columns = [code for name, code in data.subjects.items() if name != "subject"] or [np.zeros_like(data.known)]
    first, group = distinct_places(columns)
    subjects = jax.device_put({name: code[first] for name, code in data.subjects.items()})
    found = _derivatives(problem, subjects, jax.device_put(point))
    truth, of_label, of_prior = (np.asarray(value) for value in found)
    scores = np.zeros((len(truth), problem.space.size))
    for place, own in enumerate(truth.T):
        scores += own[:, None] * (data.counts @ of_label[:, place] + of_prior[group, place])
    return truth, scores


@jax.jit
def _derivatives(
    problem: TruthProblem, subjects: Mapping[str, jax.Array], point: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Posterior of the truths; derivatives of log-probabilities of labels, and of truths, a last axis for each."""
    model, cells, n_categories = problem.model, problem.sums.cells, problem.n_categories

    def terms(free: jax.Array) -> tuple[jax.Array, jax.Array]:
        params = problem.space.constrain(free)
        by_cell = model.label_log_probs(params, cells, n_categories)
        rows = jnp.swapaxes(by_cell, 1, 2).reshape(-1, by_cell.shape[1])
        return rows, model.truth_log_probs(params, subjects, n_categories)

    joint = problem.sums.log_joint(problem.space.constrain(point))
    return jax.nn.softmax(joint, axis=1), *jax.jacfwd(terms)(point)


def _tests(pairs: LabelPairs, residual: Array, scores: Array | None, multiplicity: Array) -> tuple[Array, Array]:
    """Sum and variance of what is left of the residuals of each pair, shape (pairs,) each."""
    n_pairs, n_patterns = len(pairs.first), len(multiplicity)
    total, variance = np.zeros(n_pairs), np.zeros(n_pairs)
    together = max(_CHUNK // n_patterns, 1)
    for start in range(0, n_pairs, together):
        chosen = np.flatnonzero((pairs.pair >= start) & (pairs.pair < start + together))
        count = min(together, n_pairs - start)
        own = np.zeros((n_patterns, count))
        np.add.at(own, (pairs.pattern[chosen], pairs.pair[chosen] - start), residual[chosen])
        total[start : start + count], variance[start : start + count] = _left(own, scores, multiplicity)
    return total, variance


def _left(values: Array, scores: Array | None, multiplicity: Array) -> tuple[Array, Array]:
    """Sum over subjects of what the scores do not explain of `values`, shape (patterns, columns), and its variance."""
    whole = multiplicity @ values**2
    if scores is None:
        return multiplicity @ values, whole
    root = np.sqrt(multiplicity)[:, None]
    weights, _, rank, _ = np.linalg.lstsq(root * scores, root * values, rcond=1e-8)
    rest = values - scores @ weights
    n = multiplicity.sum()
    variance = multiplicity @ rest**2 * n / (n - rank)
    # What the scores reproduce but for rounding has no test.
    return multiplicity @ rest, np.where(variance > 1e-8 * whole, variance, np.nan)


def _columns(total: Array, variance: Array, n: Array, same: Array, expected: Array, level: float) -> dict[str, Array]:
    known = np.where(n >= _FEWEST, variance, np.nan)
    z, estimate, se = total / np.sqrt(known), total / known, 1 / np.sqrt(known)
    reach = float(ndtri((1 + level) / 2)) * se
    columns = {"n": n, "agreement": same / n, "expected": expected / n, "log_odds": estimate, "se": se}
    return columns | {"lower": estimate - reach, "upper": estimate + reach, "z": z, "p": 2 * norm.sf(np.abs(z))}


def _flags(p: Array, z: Array, n: Array, alpha: float) -> Iterator[str]:
    for one, sign, count in zip(p.tolist(), z.tolist(), n.tolist(), strict=True):
        if count < _FEWEST:
            yield f"only {count:g} common subjects: too few to test"
        elif not np.isfinite(one):
            yield "not testable: the parameters reproduce this agreement"
        else:
            yield ("dependent" if sign > 0 else "opposed") if one < alpha else ""


def _frame(
    pairs: LabelPairs, expected: Array, sums: tuple[Array, Array], level: float, alpha: float, judges: tuple[object, ...]
) -> pd.DataFrame:
    names = np.array(judges, object)
    n, same = pairs.total(np.ones(len(expected))), pairs.total(pairs.same)
    columns = _columns(*sums, n, same, pairs.total(expected), level)
    frame = pd.DataFrame({"first": names[pairs.first], "second": names[pairs.second], **columns})
    frame["p_adjusted"] = adjusted(columns["p"])
    frame["flag"] = list(_flags(frame["p_adjusted"].to_numpy(np.float64), columns["z"], n, alpha))
    return frame.sort_values("z", ascending=False, kind="stable", ignore_index=True)


def _pooled(
    pairs: LabelPairs,
    expected: Array,
    residual: Array,
    scores: Array | None,
    multiplicity: Array,
    families: tuple[Array, tuple[object, ...]],
    level: float,
    alpha: float,
) -> pd.DataFrame:
    code, labels = families
    within = np.where(code[pairs.first] == code[pairs.second], code[pairs.first], -1)
    groups: dict[object, NDArray[np.bool_]] = {"all pairs": np.ones(len(pairs.first), bool)}
    if labels:
        groups |= {f"within {label}": within == place for place, label in enumerate(labels)}
        groups |= {"across families": within == -1}
    groups = {name: chosen for name, chosen in groups.items() if chosen.any()}
    rows: list[dict[str, Array]] = []
    for chosen in groups.values():
        own = chosen[pairs.pair]
        values = np.bincount(pairs.pattern[own], residual[own], len(multiplicity))[:, None]
        times = pairs.multiplicity[own]
        counts = (np.atleast_1d(np.sum(times * of)) for of in (np.ones(own.sum()), pairs.same[own], expected[own]))
        rows.append(_columns(*_left(values, scores, multiplicity), *counts, level))
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    frame = pd.DataFrame({"pairs": list(groups), **columns})
    frame["p_adjusted"] = adjusted(columns["p"])
    return frame.assign(flag=list(_flags(frame["p_adjusted"].to_numpy(np.float64), columns["z"], columns["n"], alpha)))
