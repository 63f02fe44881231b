"""Where subjects come from: one normal distribution, one for each group, or one whose mean follows covariates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import final

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.errors import DataError, DesignError
from psymetric.models.checks import Table, check_prior_sd
from psymetric.models.covariates import by_level, check_spread, known_codes, level_terms

__all__ = ["Background", "Population", "PopulationShape", "as_population", "background", "population_shape"]


@final
@dataclass(frozen=True)
class Population:
    r"""Normal distribution of abilities: $\theta_s \sim N(\mu_{g(s)} + (x_s - \bar x)'\beta,\ \sigma_{g(s)}^2)$.

    Columns are facets of the table that are constant within a subject and that the model does not read itself. A
    covariate whose labels are numbers enters as it is; any other enters as one indicator for each label but the first.

    Fitted parameters: `population_mean` μ and `population_sd` σ in logits, scalars or of shape (groups,);
    `covariate_weight` β, shape (terms,), in logits per unit; `covariate_mean` $\bar x$ of the fitted subjects, known.
    So μ is the mean of subjects with average covariates, and σ what the covariates leave. Where slopes are free and
    the population fixes the scale, the first group has mean 0 and sd 1.

    Args:
        covariates: Columns that shift the mean (latent regression).
        groups: Column whose levels have their own mean and sd (multiple groups).
        prior_sd: Scale of the normal prior on each β, in logits per sd of its covariate, under MAP, Laplace and NUTS.

    Raises:
        DesignError: A column named twice.

    Source: Mislevy (1985), JASA 80, 993-997; Bock & Zimowski (1997), Handbook of Modern IRT, ch. 25.
    """

    covariates: tuple[str, ...] = ()
    groups: str | None = None
    prior_sd: float = 2.0

    def __post_init__(self) -> None:
        given = self.covariates
        object.__setattr__(self, "covariates", (given,) if isinstance(given, str) else tuple(given))
        if len(set(self.columns)) != len(self.columns):
            raise DesignError(f"{self} must name each column once")
        check_prior_sd(self, self.prior_sd)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that tells subjects apart."""
        return (*self.covariates, *((self.groups,) if self.groups is not None else ()))


def as_population(value: object) -> Population:
    """A population from itself or from the settings that a file holds."""
    if isinstance(value, Mapping):
        known = [field.name for field in fields(Population)]
        if unknown := [name for name in value if name not in known]:
            raise DesignError(f"population={value!r} has the unknown setting {unknown[0]!r}: it takes {known}")
        value = Population(**value)
    if not isinstance(value, Population):
        raise DesignError(f"population={value!r} is no population: use Population(covariates=..., groups=...)")
    return value


@final
@dataclass(frozen=True)
class PopulationShape:
    """What a table says about the parameters of a population.

    Attributes:
        n_groups: Number of groups, or None without groups.
        terms: Name of each covariate term: the column, or "column=label" for an indicator.
        mean, sd: Of the terms over subjects, shape (terms,).
    """

    n_groups: int | None
    terms: tuple[str, ...]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]


@final
@partial(jax.tree_util.register_dataclass, data_fields=["covariates", "group"], meta_fields=[])
@dataclass(frozen=True)
class Background:
    """What is known of S subjects: covariate terms, shape (S, terms), and group codes, shape (S,)."""

    covariates: Array
    group: Array


def background(
    population: Population, table: Table, *, levels: Mapping[str, tuple[Label, ...]] | None = None
) -> Background | None:
    """What the columns of a population say of the table's subjects; None without columns.

    Args:
        population: Names the columns.
        table: Responses with those columns.
        levels: Labels of the columns as a fit knows them, where the table is another.

    Raises:
        DataError: A column is missing or varies within a subject, or a label is unknown to the fit.
    """
    if not population.columns:
        return None
    terms = level_terms(table, "subject", population.covariates, levels=levels)[1]
    return Background(jax.device_put(terms), jax.device_put(_groups(population, table, levels)))


def population_shape(population: Population, table: Table) -> PopulationShape:
    """Sizes, names and scales of the population's parameters.

    Raises:
        DataError: As `background`; or a covariate that does not vary, or one that others determine.
    """
    if not population.columns:
        return PopulationShape(None, (), np.zeros(0), np.zeros(0))
    names, terms = level_terms(table, "subject", population.covariates)
    n_groups = None if population.groups is None else len(table.levels.get(population.groups, ()))
    group = _groups(population, table, None)
    if n_groups == 1:
        label = table.levels[str(population.groups)][0]
        raise DataError(f"groups={population.groups!r} has one level ({label!r}): leave it out")
    check_spread(names, terms, np.eye(n_groups or 1)[group], "subject")
    return PopulationShape(n_groups, names, terms.mean(axis=0), terms.std(axis=0))


def _groups(population: Population, table: Table, levels: Mapping[str, tuple[Label, ...]] | None) -> NDArray[np.int32]:
    """Group of each subject, shape (subjects,)."""
    name = population.groups
    if name is None:
        return np.zeros(len(table.levels["subject"]), np.int32)
    labels = table.levels.get(name, ())
    return known_codes(by_level(table, name, "subject"), labels, labels if levels is None else levels[name], name)
