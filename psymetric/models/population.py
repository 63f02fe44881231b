"""Where subjects come from: one normal distribution, one for each group, or one whose mean follows covariates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.errors import DataError, DesignError
from psymetric.models.checks import Table, check_prior_sd

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
    return _terms(population, table, levels)[1] if population.columns else None


def _terms(
    population: Population, table: Table, levels: Mapping[str, tuple[Label, ...]] | None = None
) -> tuple[tuple[str, ...], Background]:
    """Names of the covariate terms, and the subjects' values."""
    n_subjects, names, columns = len(table.levels["subject"]), list[str](), list[NDArray[np.float64]]()
    for name in population.covariates:
        code, labels = _by_subject(table, name, n_subjects), table.levels[name]
        known = labels if levels is None else levels[name]
        if _are_numbers(known):
            names.append(name)
            columns.append(_numbers(labels, name)[code])
            continue
        code = _in_terms_of(code, labels, known, name)
        names += [f"{name}={label}" for label in known[1:]]
        columns += [np.asarray(code == place, np.float64) for place in range(1, len(known))]
    group = np.zeros(n_subjects, np.int32)
    if population.groups is not None:
        group = _by_subject(table, population.groups, n_subjects)
        labels = table.levels[population.groups]
        known = labels if levels is None else levels[population.groups]
        group = _in_terms_of(group, labels, known, population.groups)
    terms = np.stack(columns, axis=1) if columns else np.zeros((n_subjects, 0))
    return tuple(names), Background(jnp.asarray(terms), jnp.asarray(group))


def population_shape(population: Population, table: Table) -> PopulationShape:
    """Sizes, names and scales of the population's parameters.

    Raises:
        DataError: As `background`; or a covariate that does not vary, or one that others determine.
    """
    names, known = _terms(population, table)
    terms = np.asarray(known.covariates)
    sd = terms.std(axis=0)
    if flat := [name for name, value in zip(names, sd.tolist(), strict=True) if value == 0]:
        raise DataError(
            f"covariate {flat[0]!r} is the same for every subject, so that it explains nothing: leave it out"
        )
    n_groups = None if population.groups is None else len(table.levels[population.groups])
    if n_groups == 1:
        label = table.levels[str(population.groups)][0]
        raise DataError(f"groups={population.groups!r} has one level ({label!r}): leave it out")
    of_group = np.eye(n_groups or 1)[np.asarray(known.group)]
    whole = np.concatenate([of_group, (terms - terms.mean(axis=0)) / sd], axis=1)
    if np.linalg.matrix_rank(whole) < whole.shape[1]:
        raise DataError(
            f"the covariates {list(names)} are not independent"
            + (f" of each other and of {population.groups!r}" if n_groups else " of each other")
            + f": {len(whole)} subjects determine {np.linalg.matrix_rank(whole)} of {whole.shape[1]} parameters of the "
            "population's mean. Leave one out"
        )
    return PopulationShape(n_groups, names, terms.mean(axis=0), sd)


def _by_subject(table: Table, name: str, n_subjects: int) -> NDArray[np.int32]:
    """Code of each subject in a column that must be constant within it, shape (subjects,)."""
    if name not in table.codes:
        others = [column for column in table.codes if column not in ("subject", "item")]
        raise DataError(f"the population reads column {name!r}, which the table does not have: its facets are {others}")
    subject, code = table.codes["subject"], table.codes[name]
    value = np.zeros(n_subjects, np.int32)
    value[subject] = code
    if np.any(wrong := value[subject] != code):
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"column {name!r} must be constant within a subject, but {len(set(subject[wrong].tolist()))} of "
            f"{n_subjects} subjects have several values; the first, {table.levels['subject'][int(subject[row])]!r}, "
            f"has {table.levels[name][int(code[row])]!r} and {table.levels[name][int(value[subject[row]])]!r}"
        )
    return value


def _in_terms_of(
    code: NDArray[np.int32], labels: tuple[Label, ...], known: tuple[Label, ...], name: str
) -> NDArray[np.int32]:
    """Codes by position among the labels a fit knows."""
    if unknown := [label for label in labels if label not in known]:
        raise DataError(
            f"column {name!r} has the label {unknown[0]!r}, which the fit does not know, only {list(known)}"
        )
    return np.array([known.index(label) for label in labels], np.int32)[code]


def _are_numbers(labels: tuple[Label, ...]) -> bool:
    return all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in labels)


def _numbers(labels: tuple[Label, ...], name: str) -> NDArray[np.float64]:
    if not _are_numbers(labels):
        text: Any = next(label for label in labels if not isinstance(label, (int, float)))
        raise DataError(f"covariate {name!r} was numbers where the model was fitted, and has the label {text!r} here")
    return np.array(labels, np.float64)
