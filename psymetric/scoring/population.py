"""The normal populations that a fit's subjects come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.errors import DataError, DesignError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY, Table
from psymetric.models.population import background
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD, require_one_dimension, subject_moments

__all__ = ["NormalPopulation", "keeps_subjects", "population", "population_of"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class NormalPopulation:
    """A normal distribution of abilities, in logits, and a sentence on where it came from when that needs saying."""

    mean: float
    sd: float
    note: str = ""


def keeps_subjects(fit: Fit) -> bool:
    """Whether subjects are parameters of the fit (JointML) and not integrated over."""
    return ABILITY in fit.parameters and POPULATION_SD not in fit.parameters


def population_of(fit: Fit, table: Table, *, who: str) -> tuple[Array, Array, str]:
    """Means and sds of the populations that a table's subjects come from, each of shape (subjects,), and a note.

    Raises:
        DataError: As `population`; or a group that the fit does not know, or a column that the table lacks.
    """
    n_subjects = len(table.levels["subject"])
    if not fit.model.population.columns:
        found = population(fit, who=who)
        return np.full(n_subjects, found.mean), np.full(n_subjects, found.sd), found.note
    with double_precision():
        known = background(fit.model.population, table, levels=fit.levels)
        mean, sd = subject_moments(jax.device_put(dict(fit.parameters)), known)
        return np.asarray(mean), np.broadcast_to(np.asarray(sd), (n_subjects,)), ""


def population(fit: Fit, *, who: str) -> NormalPopulation:
    """The estimated population; after `JointML`, which has none, the moments of its measures.

    The moment estimate is the variance of the non-extreme measures minus their mean squared standard error.

    Raises:
        DataError: The measures of a JointML fit vary no more than their errors.
        DesignError: Subjects come from several populations, and `who` needs one; or they have several abilities.
    """
    require_one_dimension(fit.model, who)
    if columns := fit.model.population.columns:
        raise DesignError(
            f"{who} needs one population of subjects, and the model tells several apart by {list(columns)}: fit "
            "without them, or one group at a time"
        )
    if not keeps_subjects(fit):
        return NormalPopulation(float(fit.parameters[POPULATION_MEAN]), float(fit.parameters[POPULATION_SD]))
    sides = fit.extremes.get("subject", ("",) * len(fit.levels["subject"]))
    usable = np.isfinite(fit.parameters[ABILITY]) & (np.array(sides) == "")
    measures, errors = fit.parameters[ABILITY][usable], fit.standard_errors[ABILITY][usable]
    spread = float(np.var(measures, ddof=1) - np.mean(errors**2)) if len(measures) > 1 else 0.0
    if spread <= 0:
        raise DataError(
            f"{who}: this fit is by JointML, which has no population, and its {len(measures)} measures vary no "
            'more than their errors, which leaves none to be estimated: fit with MarginalML(), or use method="wle"'
        )
    mean, sd = float(np.mean(measures)), float(np.sqrt(spread))
    note = (
        f"JointML has no population; its measures' moments stand in: mean {mean:.2f}, sd {sd:.2f} logits without error"
    )
    return NormalPopulation(mean, sd, note)
