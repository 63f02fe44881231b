"""The normal population that a fit's subjects come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.base import ABILITY
from psymetric.models.space import POPULATION_MEAN, POPULATION_SD

__all__ = ["Population", "keeps_subjects", "population"]


@final
@dataclass(frozen=True)
class Population:
    """A normal distribution of abilities, in logits, and a sentence on where it came from when that needs saying."""

    mean: float
    sd: float
    note: str = ""


def keeps_subjects(fit: Fit) -> bool:
    """Whether subjects are parameters of the fit (JointML) and not integrated over."""
    return ABILITY in fit.parameters and POPULATION_SD not in fit.parameters


def population(fit: Fit, *, who: str) -> Population:
    """The estimated population; after `JointML`, which has none, the moments of its measures.

    The moment estimate is the variance of the non-extreme measures minus their mean squared standard error.

    Raises:
        DataError: The measures of a JointML fit vary no more than their errors.
    """
    if not keeps_subjects(fit):
        return Population(float(fit.parameters[POPULATION_MEAN]), float(fit.parameters[POPULATION_SD]))
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
    return Population(mean, sd, note)
