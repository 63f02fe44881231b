"""Whether judges agree beyond what the truth explains: a score test of every pair, whatever the latent-truth model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import final

import jax
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import norm

from psymetric.core.precision import double_precision
from psymetric.data.messages import counted
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.judge_information import judge_confusion, judged_labels
from psymetric.diagnostics.label_pairs import LabelPairs, label_pairs
from psymetric.diagnostics.label_scores import drawn_scores, label_terms
from psymetric.diagnostics.multiplicity import adjusted
from psymetric.errors import DataError, DesignError
from psymetric.estimation.fit import Fit
from psymetric.estimation.truth import truth_data, truth_problem
from psymetric.models.covariates import by_level
from psymetric.models.shared_state import AbstractSharedStateModel
from psymetric.models.truth import AbstractTruthModel

__all__ = ["JudgeDependence", "judge_dependence"]

Array = NDArray[np.float64]

_WHO = "judge_dependence"
_FEWEST = 20
"""Common subjects below which the normal approximation of a sum is not to be trusted."""
_LEAST = 1e-9
"""Probabilities are at least this, so that a free vector exists for them."""


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
    fit: Fit,
    table: ResponseTable,
    *,
    family: str | None = None,
    level: float = 0.95,
    alpha: float = 0.05,
    seed: int = 0,
) -> JudgeDependence:
    r"""Test that judges are independent given the truth, pair by pair.

    Had judges a and b a dependence of their own, $P(x_a, x_b \mid m) \propto \theta_{a,m,x_a} \theta_{b,m,x_b}
    \exp(\delta [x_a = x_b])$, the score of δ at 0 would be the agreements less those that the posterior of the truth
    expects. What of it the estimates of the model could take up is taken out of it (Neyman's C(α) test), so that the
    p-value allows for estimated parameters without a refit, under maximum likelihood as with a weak prior. Variances
    are those of labels drawn from the fitted model for the same judges and subjects.

    A truth that explains agreement badly shows here, whatever the reason: judges of one family, hard subjects, a truth
    of more categories than the labels have. Intervals of the fit are too narrow then, `FamilyDawidSkene` and `GLAD`
    are models of it.

    Args:
        fit: A fit of a latent-truth model whose labels are independent given the truth.
        table: The fitted table.
        family: A column with the family of each judge, to pool the pairs within each, and those across.
        level: Coverage of the intervals, in (0, 1).
        alpha: Level of the flags, for all pairs together (Holm).
        seed: Of the drawn labels.

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
    model = _check(fit, level, alpha)
    families = _families(table, model, family)
    judges, n_categories = model.levels(table)[model.over], len(table.categories)
    with double_precision():
        data = truth_data(model, table)
        problem = truth_problem(model, table, prior=False)
        terms = label_terms(problem, data, problem.space.unconstrain(_inside(fit.parameters)))
        labels = judged_labels(model, table, most=len(data.known), seed=0)
        params = jax.device_put({name: np.asarray(value, np.float64) for name, value in fit.parameters.items()})
        confusion = np.asarray(jax.jit(judge_confusion)(labels, params))
    pairs = label_pairs(model, data, n_categories)
    if not len(pairs.first):
        raise DataError(f"{_WHO}: no subject has labels by two judges, so that nothing can agree")
    truth = terms.posterior(data)
    expected = pairs.expected(truth, confusion)
    seen = pairs.total(pairs.same - expected)
    drawn = drawn_scores(model, data, terms, pairs, confusion, seed=seed)
    sums = partial(drawn.left, seen, terms.total_score(data, truth))
    counts = tuple(pairs.total(values) for values in (np.ones(len(expected)), pairs.same, expected))
    names = np.array(judges, object)
    each = _columns(sums(None), counts, level, alpha)
    frame = pd.DataFrame({"first": names[pairs.first], "second": names[pairs.second], **each})
    groups = _groups(pairs, *families)
    chosen = np.stack([*groups.values()], axis=1).astype(np.float64)
    pooled = _columns(sums(chosen), tuple(count @ chosen for count in counts), level, alpha)
    return JudgeDependence(
        frame.sort_values("z", ascending=False, kind="stable", ignore_index=True),
        pd.DataFrame({"pairs": list(groups), **pooled}),
    )


def _check(fit: Fit, level: float, alpha: float) -> AbstractTruthModel:
    if not isinstance(fit.model, AbstractTruthModel):
        raise DesignError(
            f"{_WHO} needs a fit of a latent-truth model such as DawidSkene, not {type(fit.model).__name__}"
        )
    if isinstance(fit.model, AbstractSharedStateModel):
        raise DesignError(
            f"{_WHO}: {type(fit.model).__name__} has a dependence of its own: test DawidSkene() or OneCoin() on the "
            "same table, and compare the fits"
        )
    for name, value in (("level", level), ("alpha", alpha)):
        if not 0 < value < 1:
            raise DataError(f"{_WHO}: {name}={value} must lie between 0 and 1")
    return fit.model


def _families(
    table: ResponseTable, model: AbstractTruthModel, family: str | None
) -> tuple[NDArray[np.int64], tuple[object, ...]]:
    """Family of each judge, gold apart, shape (judges,), and the labels of the families."""
    judges = model.levels(table)[model.over]
    if family is None:
        return np.zeros(len(judges), np.int64), ()
    if family not in table.levels:
        raise DataError(f"{_WHO}: the table has no column {family!r}: it has {list(table.levels)}")
    code = by_level(table, family, model.over)
    kept = [label in judges for label in table.levels[model.over]]
    return np.asarray(code[kept], np.int64), tuple(table.levels[family])


def _inside(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """The estimates, probabilities of zero a little above it."""
    return {
        name: np.clip(value, _LEAST, 1 - _LEAST) if np.all((value >= 0) & (value <= 1)) else value
        for name, value in parameters.items()
    }


def _groups(pairs: LabelPairs, code: NDArray[np.int64], labels: tuple[object, ...]) -> dict[str, NDArray[np.bool_]]:
    """Which pairs are added up, by name."""
    within = np.where(code[pairs.first] == code[pairs.second], code[pairs.first], -1)
    found = {"all pairs": np.ones(len(pairs.first), bool)}
    if labels:
        found |= {f"within {label}": within == place for place, label in enumerate(labels)}
        found |= {"across families": within == -1}
    return {name: chosen for name, chosen in found.items() if chosen.any()}


def _columns(sums: tuple[Array, Array], counts: tuple[Array, ...], level: float, alpha: float) -> dict[str, object]:
    """Columns from sum and variance of the scores, and subjects, agreements and expected agreements."""
    (total, variance), (n, same, expected) = sums, counts
    known = np.where(n >= _FEWEST, variance, np.nan)
    z, estimate, se = total / np.sqrt(known), total / known, 1 / np.sqrt(known)
    reach, p = float(ndtri((1 + level) / 2)) * se, 2 * norm.sf(np.abs(z))
    holm = adjusted(p)
    return {
        "n": n,
        "agreement": same / n,
        "expected": expected / n,
        "log_odds": estimate,
        "se": se,
        "lower": estimate - reach,
        "upper": estimate + reach,
        "z": z,
        "p": p,
        "p_adjusted": holm,
        "flag": list(_flags(holm, z, n, alpha)),
    }


def _flags(p: Array, z: Array, n: Array, alpha: float) -> Iterator[str]:
    for one, sign, count in zip(p.tolist(), z.tolist(), n.tolist(), strict=True):
        if count < _FEWEST:
            yield f"only {count:g} common subjects: too few to test"
        elif not np.isfinite(one):
            yield "not testable: the parameters reproduce this agreement"
        else:
            yield ("dependent" if sign > 0 else "opposed") if one < alpha else ""
