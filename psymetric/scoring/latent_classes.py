"""Which class each judge belongs to, how sure that is, and one class of a mixture as a fit of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast, final

import jax
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

from psymetric.core.precision import double_precision
from psymetric.data.messages import listing
from psymetric.data.pairs import PairTable
from psymetric.errors import DataError
from psymetric.estimation.extremes import Rows
from psymetric.estimation.fit import Fit
from psymetric.estimation.mixture_search import judge_sums
from psymetric.estimation.mixtures import JudgeSums, memberships
from psymetric.models.judge_mixture import CLASS, SHARE, JudgeMixture
from psymetric.scoring.alignment import recode

__all__ = ["ClassMembership", "class_membership", "fit_of_class", "relative_entropy"]

Array = NDArray[np.float64]

_UNSURE = 0.9
"""Probability of the likeliest class under which a judge is counted as not clearly of one."""


@final
@dataclass(frozen=True)
class ClassMembership:
    """Posterior probabilities of the classes of judges.

    Attributes:
        frame: One row per judge and class: level, class, probability, n (weighted comparisons).
        assigned: One row per judge: level, class (the likeliest), probability, n.
        entropy: Relative entropy, 1 where every judge's class is certain, 0 where nothing is known of any; NaN with one
            class, where there is nothing to know.
        accuracy: Mean probability of the likeliest class: the share of judges whose class is right, if the model is.
        notes: What a reader must know, as sentences.
    """

    frame: pd.DataFrame
    assigned: pd.DataFrame
    entropy: float
    accuracy: float
    notes: tuple[str, ...]


def class_membership(fit: Fit, table: PairTable) -> ClassMembership:
    """Posterior probabilities of the classes of every judge in a table, given its comparisons.

    At the estimates, or averaged over the draws where the fit has draws. The judges may be others than those fitted.
    Judges whose comparisons all have weight 0 have the classes' shares.

    Args:
        fit: Of a `JudgeMixture`.
        table: Comparisons of items that the fit knows.

    Raises:
        DataError: A fit of another model, a table that is none of pairs or lacks a facet, levels that the fit does not
            know.

    Source: Bayes' rule; relative entropy: Ramaswamy, DeSarbo, Reibstein & Robinson (1993), Marketing Science 12,
    103-124.
    """
    model = _mixture_of(fit, "class_membership")
    if not isinstance(table, PairTable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"class_membership: the fit is of comparisons, which a PairTable holds; got {table!r}")
    with double_precision():
        probability = _probabilities(fit, judge_sums(model, _aligned(fit, model, table)))
    labels, n = table.levels[model.over], np.bincount(table.codes[model.over], table.weight)
    chosen, classes = probability.argmax(axis=1), np.array(fit.levels[CLASS])
    likeliest, n_classes = probability.max(axis=1), len(classes)
    judges = pd.Series(labels, dtype=object).infer_objects()
    frame = pd.DataFrame(
        {
            "level": judges.repeat(n_classes).to_numpy(),
            CLASS: np.tile(classes, len(labels)),
            "probability": probability.ravel(),
            "n": np.repeat(n, n_classes),
        }
    )
    assigned = pd.DataFrame({"level": judges, CLASS: classes[chosen], "probability": likeliest, "n": n})
    return ClassMembership(
        frame, assigned, relative_entropy(probability), float(likeliest.mean()), _notes(model, assigned)
    )


def relative_entropy(probability: Array) -> float:
    """One less the mean entropy of rows over that of equal chances; NaN for a single column.

    Args:
        probability: Shape (judges, classes).
    """
    n_judges, n_classes = probability.shape
    if n_classes == 1:
        return float("nan")
    return float(1 + xlogy(probability, probability).sum() / (n_judges * np.log(n_classes)))


def fit_of_class(fit: Fit, which: int) -> Fit:
    """The worths of one class as a fit of the model within classes, for ranks, figures and comparisons of items.

    The estimates and their uncertainty are those of the whole mixture. The log-likelihood belongs to all classes
    together and is left out.

    Args:
        fit: Of a `JudgeMixture`.
        which: Number of the class, from 1, the largest.

    Raises:
        DataError: A fit of another model, or no such class.
    """
    model = _mixture_of(fit, "fit_of_class")
    classes = fit.levels[CLASS]
    if which not in classes:
        raise DataError(f"fit_of_class: no class {which!r}; the fit has {listing(classes)}")
    k = classes.index(which)

    def own(values: Mapping[str, Array], axis: int = -1) -> dict[str, Array]:
        return {name: np.take(value, k, axis) for name, value in values.items() if name != SHARE}

    share = fit.parameters[SHARE][k] if model.classes > 1 else 1.0
    return replace(
        fit,
        model=model.model,
        log_likelihood=None,
        n_parameters=(fit.n_parameters - (model.classes - 1)) // model.classes,
        parameters=own(fit.parameters),
        standard_errors=own(fit.standard_errors),
        covariances={
            name: _within(value, k, model.classes) for name, value in fit.covariances.items() if name != SHARE
        },
        factors=own(fit.factors, -2),
        draws=None if fit.draws is None else own(fit.draws),
        counts=own(fit.counts),
        levels={facet: labels for facet, labels in fit.levels.items() if facet not in (CLASS, model.over)},
        notes=(
            *fit.notes,
            f"class {which} of {model.classes} in a mixture of judges, to which {100 * share:.0f}% of judges belong; n "
            "counts the comparisons of all judges",
        ),
    )


def _within(covariance: Array, k: int, n_classes: int) -> Array:
    """Rows and columns of one class of a covariance matrix of arrays whose last axis is the class."""
    return covariance[k::n_classes, k::n_classes]


def _mixture_of(fit: Fit, who: str) -> JudgeMixture:
    if not isinstance(fit.model, JudgeMixture):
        raise DataError(f"{who}: the fit is of {type(fit.model).__name__}, which has no classes: fit a JudgeMixture()")
    return fit.model


def _aligned(fit: Fit, model: JudgeMixture, table: PairTable) -> Rows:
    """The table in the fit's coding, its judges in their own."""
    if missing := [facet for facet in model.facets if facet not in table.codes]:
        raise DataError(
            f"class_membership: the fit reads facet {missing[0]!r}, which the table does not have, only "
            f"{listing(table.codes)}"
        )
    codes = {model.over: table.codes[model.over]}
    for facet in model.model.facets:
        name = table.level_of(facet)
        codes[facet] = recode(
            table.codes[facet], table.levels[name], fit.levels[name], who="class_membership", facet=facet
        )
    return Rows(codes, table.levels, table.response, table.weight, table.categories, (), table.hash)


def _probabilities(fit: Fit, sums: JudgeSums) -> Array:
    if fit.draws is None:
        return np.asarray(memberships(sums, jax.device_put(dict(fit.parameters))))
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in fit.draws.items()}
    return np.asarray(_mean_memberships(sums, jax.device_put(flat)))


@jax.jit
def _mean_memberships(sums: JudgeSums, draws: dict[str, jax.Array]) -> jax.Array:
    n_draws = next(iter(draws.values())).shape[0]

    def add(place: int, total: jax.Array) -> jax.Array:
        return total + memberships(sums, {name: value[place] for name, value in draws.items()})

    empty = jax.numpy.zeros((sums.judges.shape[0], sums.model.classes))
    return cast(jax.Array, jax.lax.fori_loop(0, n_draws, add, empty)) / n_draws


def _notes(model: JudgeMixture, assigned: pd.DataFrame) -> tuple[str, ...]:
    unsure = assigned["level"][assigned["probability"] < _UNSURE].tolist()
    if not unsure:
        return ()
    return (
        f"{len(unsure)} of {len(assigned)} levels of {model.over!r} are not clearly of one class (probability under "
        f"{_UNSURE}): {listing(unsure)}",
    )
