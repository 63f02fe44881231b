"""What the true category of each subject is, how sure that is, and the draws behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

from psymetric.core.precision import double_precision
from psymetric.data.messages import listing
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError
from psymetric.estimation.extremes import Rows
from psymetric.estimation.fit import Fit
from psymetric.estimation.parameter_draws import parameter_draws
from psymetric.estimation.truth import TruthSums, truth_data, truth_sums
from psymetric.models.judge_mixture import MEMBERSHIP
from psymetric.models.truth import AbstractTruthModel, Labels
from psymetric.scoring.alignment import recode

__all__ = ["TrueCategories", "true_categories"]

Array = NDArray[np.float64]

_UNSURE = 0.9
"""Probability of the likeliest category under which a subject is counted as unsure."""
_DRAWS = 1_000


@final
@dataclass(frozen=True)
class TrueCategories:
    """Posterior probabilities of the true category of every subject.

    Attributes:
        frame: One row per subject: subject, category (the likeliest), probability, error (the chance that it is not the
            true one), entropy (in bits), n (weighted labels), gold (whether its truth was given).
        probability: One row per subject: subject, and the probability of every category in a column of its name.
        accuracy: Mean probability of the likeliest category: the share that is right, if the model is.
        notes: What a reader must know, as sentences.
    """

    frame: pd.DataFrame
    probability: pd.DataFrame
    accuracy: float
    notes: tuple[str, ...]


def true_categories(fit: Fit, table: ResponseTable, *, draws: int | None = None, seed: int = 0) -> TrueCategories:
    """Posterior probabilities of the true category of every subject in a table, given its labels.

    At the estimates, or averaged over draws of the parameters, so that what is not known of the judges is part of them:
    over those of the fit where it holds any, else over normal ones where `draws` asks for them. The subjects may be
    others than those fitted. Missing labels are left out (ignorable), and gold labels are the truth.

    Args:
        fit: Of a latent-truth model, such as `DawidSkene`.
        table: Labels by judges that the fit knows.
        draws: Even number of draws of the parameters; 0 takes the estimates as known. By default 1,000 of a fit that
            holds draws, and 0 of others.
        seed: Of those draws.

    Raises:
        DataError: A fit of another model, a table that is none of responses or lacks a facet, levels or categories that
            the fit does not know, subjects other than the fit's where these have parameters of their own; draws of a
            fit that keeps no joint uncertainty.

    Source: Dawid & Skene (1979), Applied Statistics 28, 20-28, eq. 2.5 (Bayes' rule).
    """
    model = _truth_model_of(fit)
    if not isinstance(table, ResponseTable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"true_categories: the fit is of responses, which a ResponseTable holds; got {table!r}")
    if draws is None:
        draws = 0 if fit.draws is None else _DRAWS
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 0 or draws % 2:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(f"true_categories(draws={draws!r}) must be an even number of draws, 0 or more")
    aligned = _aligned(fit, model, table)
    model.check(aligned)
    labels, data = model.labels(aligned), truth_data(model, aligned)
    with double_precision():
        sums = truth_sums(model, data, len(fit.categories))
        probability = _probabilities(fit, sums, draws, seed)[data.pattern]
    return _labelled(fit, table, labels, probability)


def _truth_model_of(fit: Fit) -> AbstractTruthModel:
    if not isinstance(fit.model, AbstractTruthModel):
        raise DataError(
            f"true_categories: the fit is of {type(fit.model).__name__}, which has no latent truth: fit a DawidSkene()"
        )
    return fit.model


def _aligned(fit: Fit, model: AbstractTruthModel, table: ResponseTable) -> Rows:
    """The table in the fit's coding, its subjects in their own unless they have parameters."""
    columns = dict.fromkeys((*model.facets, *model.population.columns, *model.cell_columns))
    if missing := [name for name in columns if name not in table.codes]:
        raise DataError(
            f"true_categories: the fit reads facet {missing[0]!r}, which the table does not have, only "
            f"{listing(table.codes)}"
        )
    known = {name: fit.levels[name] for name in columns}
    known[model.over] = (*known[model.over], *model.golds)
    codes = {
        name: recode(table.codes[name], table.levels[name], labels, who="true_categories", facet=name)
        for name, labels in known.items()
    }
    response = recode(table.response, table.categories, fit.categories, who="true_categories", facet="category")
    levels = {"subject": table.levels["subject"], **known}
    return Rows({"subject": table.codes["subject"], **codes}, levels, response, table.weight, fit.categories, (), "")


def _probabilities(fit: Fit, sums: TruthSums, draws: int, seed: int) -> Array:
    """Posterior of the truths, shape (patterns, truths)."""
    if not draws:
        return np.asarray(_posterior(sums, jax.device_put(dict(fit.parameters))))
    names = tuple(name for name in fit.parameters if name != MEMBERSHIP)
    drawn = parameter_draws(fit, names, n=draws, seed=seed, who="true_categories")
    return np.asarray(_mean_posterior(sums, jax.device_put(drawn)))


@jax.jit
def _posterior(sums: TruthSums, params: dict[str, jax.Array]) -> jax.Array:
    return jax.nn.softmax(sums.log_joint(params), axis=1)


@jax.jit
def _mean_posterior(sums: TruthSums, draws: dict[str, jax.Array]) -> jax.Array:
    n_draws = next(iter(draws.values())).shape[0]

    def add(place: int, total: jax.Array) -> jax.Array:
        return total + _posterior(sums, {name: value[place] for name, value in draws.items()})

    return cast(jax.Array, jax.lax.fori_loop(0, n_draws, add, jnp.zeros_like(sums.clamp))) / n_draws


def _labelled(fit: Fit, table: ResponseTable, labels: Labels, probability: Array) -> TrueCategories:
    subjects = pd.Series(table.levels["subject"], dtype=object).infer_objects()
    chosen, likeliest = probability.argmax(axis=1), probability.max(axis=1)
    frame = pd.DataFrame(
        {
            "subject": subjects,
            "category": pd.Series(fit.categories, dtype=object).infer_objects()[chosen].to_numpy(),
            "probability": likeliest,
            "error": 1 - likeliest,
            "entropy": -xlogy(probability, probability).sum(axis=1) / np.log(2),
            "n": np.bincount(labels.codes["subject"], labels.weight, len(subjects)),
            "gold": labels.known >= 0,
        }
    )
    by_category = pd.DataFrame(probability, columns=list(fit.categories))
    by_category.insert(0, "subject", subjects)
    unsure = frame["subject"][frame["probability"] < _UNSURE].tolist()
    notes = (
        f"{len(unsure):,} of {len(frame):,} subjects have no category of probability {_UNSURE} or more: "
        f"{listing(unsure)}",
    )
    return TrueCategories(frame, by_category, float(likeliest.mean()), notes if unsure else ())
