"""Log densities to maximise or sample: a model on a table, with subjects integrated out or kept.

Both problems are pytrees whose arrays are leaves and whose model is structure, so that tables of one shape share one
compiled program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.complete_sum import CompleteSum
from psymetric.core.gather_sum import GatherSum
from psymetric.core.parameters import ParameterSpace
from psymetric.core.quadrature import normal_grid
from psymetric.errors import DesignError
from psymetric.estimation.cells import distinct_cells, distinct_rows
from psymetric.estimation.mixtures import MixtureProblem
from psymetric.estimation.multidimensional import MultidimensionalProblem
from psymetric.estimation.nested import NestedPlan, nested_plan
from psymetric.estimation.truth import TruthProblem
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.choice import AbstractChoiceModel, distinct_choices
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.models.population import Background, background
from psymetric.models.space import (
    CORRELATION,
    COVARIATE_WEIGHT,
    POPULATION_MEAN,
    POPULATION_SD,
    parameter_space,
    require_one_dimension,
    subject_moments,
)
from psymetric.models.truth import AbstractTruthModel

__all__ = [
    "JointProblem",
    "MarginalProblem",
    "Problem",
    "guessed_information",
    "joint_problem",
    "marginal_problem",
    "rough_information",
]


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["space", "cells", "responses", "nodes", "log_weights", "multiplicity", "background", "nested"],
    meta_fields=["model", "n_categories", "prior"],
)
@dataclass(frozen=True)
class MarginalProblem:
    """A response model with the subjects' normal distribution integrated out on a grid.

    The predictor takes few distinct values, one per combination of facet levels (a cell) and node; their
    log-probabilities are computed once per evaluation and summed per subject (Bock & Aitkin, 1981).

    Attributes:
        cells: Codes of the distinct facet-level combinations, each of shape (cells,).
        responses: Sums rows of the (cells × categories, nodes) table by subject.
        nodes: Standard-normal nodes, shape (nodes,), and their log weights.
        multiplicity: How many subjects with the same responses each subject stands for, shape (subjects,). The weight
            of a response counts within a subject, inside the integral; this counts whole subjects.
        background: Groups and covariates of the subjects, or None where all come from one distribution.
        nested: How a second latent variable that responses of a subject share is integrated out, or None.
        prior: Whether the priors are part of the density (MAP, Laplace, NUTS) or not (maximum likelihood).
    """

    model: AbstractMeasurementModel
    space: ParameterSpace
    cells: dict[str, Array]
    responses: GatherSum | CompleteSum
    nodes: Array
    log_weights: Array
    multiplicity: Array
    n_categories: int
    prior: bool
    background: Background | None = None
    nested: NestedPlan | None = None

    def abilities(self, params: Mapping[str, Array], standard: Array) -> Array:
        """Logits of places on the grid, which spans the population, or the middle of several."""
        mean, sd = params[POPULATION_MEAN], params[POPULATION_SD]
        if mean.ndim or sd.ndim:
            mean, sd = jnp.mean(mean), jnp.exp(jnp.mean(jnp.log(sd)))
        return mean + sd * standard

    @property
    def half_width(self) -> float:
        """The last node, in population sds."""
        return float(np.asarray(self.nodes)[-1])

    @property
    def grid(self) -> str:
        """The nodes in words."""
        return f"{len(self.nodes)} nodes"

    @property
    def grid_details(self) -> dict[str, float]:
        """The nodes in numbers."""
        return {"nodes": float(len(self.nodes))}

    def log_masses(self, params: Mapping[str, Array]) -> Array:
        """Log of the population's mass at the nodes, shape (nodes,), or (subjects, nodes) where populations differ."""
        if self.background is None:
            return self.log_weights
        mean, sd = subject_moments(params, self.background)
        log_unit = jnp.mean(jnp.log(params[POPULATION_SD]))
        away = (self.abilities(params, self.nodes) - mean[:, None]) / sd[:, None]
        # At the nodes themselves a standard normal has these weights.
        log_total = -0.5 * self.nodes[0] ** 2 - self.log_weights[0]
        return -0.5 * away**2 + (log_unit - jnp.log(sd))[:, None] - log_total

    def table(self, params: dict[str, Array]) -> Array:
        """Log-probability of every cell, category and node, shape (cells × categories, nodes)."""
        abilities = self.abilities(params, self.nodes)
        codes = self.cells | {"subject": jnp.zeros_like(next(iter(self.cells.values())))}

        def at_node(ability: Array) -> Array:
            # One subject stands at the node, so that the model's one likelihood serves here too.
            return self.model.category_log_probs(params | {ABILITY: ability[None]}, codes, self.n_categories)

        # Mapped over nodes, levels are looked up once per cell; their gradients are then sums and not scatters.
        return jax.vmap(at_node, out_axes=2)(abilities).reshape(-1, self.nodes.shape[0])

    def rows(self, params: dict[str, Array]) -> Array:
        """What `summed` adds up: the table, or with a second latent variable the subjects' log-likelihoods."""
        if self.nested is not None:
            return self.nested.by_subject(params, self.abilities(params, self.nodes))
        return self.table(params)

    def summed(self, rows: Array) -> Array:
        """Log-likelihood of every subject's responses at the nodes, shape (subjects, nodes)."""
        return rows if self.nested is not None else self.responses(rows)

    def log_joint(self, free: Array) -> Array:
        """Log of likelihood times grid weight, shape (subjects, nodes)."""
        return self.log_joint_at(self.space.constrain(free))

    def log_joint_at(self, params: dict[str, Array]) -> Array:
        """`log_joint` from constrained arrays."""
        return self.summed(self.rows(params)) + self.log_masses(params)

    def penalty(self, free: Array) -> Array:
        """What the density has beyond the likelihood: the priors, or the distribution of the random facets."""
        return self.space.penalty(free, prior=self.prior)

    def log_likelihood(self, free: Array) -> Array:
        """Marginal log-likelihood, a scalar."""
        return jnp.sum(self.multiplicity * logsumexp(self.log_joint(free), axis=1))

    def log_density(self, free: Array) -> Array:
        """What the engine maximises or samples."""
        return self.log_likelihood(free) + self.penalty(free)

    def with_grid(self, n_nodes: int, half_width: float) -> MarginalProblem:
        """The same problem on another grid."""
        nodes, log_weights = normal_grid(n_nodes, half_width)
        return replace(self, nodes=jax.device_put(nodes), log_weights=jax.device_put(log_weights))


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["space", "codes", "response", "weight"],
    meta_fields=["model", "n_categories", "prior"],
)
@dataclass(frozen=True)
class JointProblem:
    """Every parameter kept: joint maximum likelihood of response models, all engines of pair and choice models."""

    model: AbstractMeasurementModel
    space: ParameterSpace
    codes: dict[str, Array]
    response: Array
    weight: Array
    n_categories: int
    prior: bool

    def log_likelihood(self, free: Array) -> Array:
        """Log-likelihood, a scalar."""
        params = self.space.constrain(free)
        return self.model.log_likelihood(params, self.codes, self.response, self.weight, self.n_categories)

    def penalty(self, free: Array) -> Array:
        """What the density has beyond the likelihood: the priors, or the distribution of the random facets."""
        penalty = self.space.penalty(free, prior=self.prior)
        return penalty + self.model.log_prior(self.space.constrain(free)) if self.prior else penalty

    def log_density(self, free: Array) -> Array:
        """What the engine maximises or samples."""
        return self.log_likelihood(free) + self.penalty(free)


Problem = MarginalProblem | JointProblem | MultidimensionalProblem | MixtureProblem | TruthProblem


def rough_information(problem: Problem) -> NDArray[np.float64]:
    """A guess at the information about each free parameter, shape (parameters,)."""
    if isinstance(problem, MarginalProblem):
        n_responses, n_subjects = problem.responses.total, problem.responses.shape[0]
    elif isinstance(problem, MultidimensionalProblem):
        n_responses = float(sum(group.picked.sum() for group in problem.integral.subjects.groups))
        n_subjects = problem.integral.n_subjects
    elif isinstance(problem, MixtureProblem):
        n_responses, n_subjects = problem.sums.judges.total, 1
    elif isinstance(problem, TruthProblem):
        n_responses, n_subjects = problem.sums.labels.total, 1
    else:
        n_responses, n_subjects = float(problem.weight.sum()), 1
    return guessed_information(problem.space, n_responses, n_subjects, problem.n_categories)


def guessed_information(
    space: ParameterSpace, n_responses: float, n_subjects: int, n_categories: int
) -> NDArray[np.float64]:
    """`rough_information` from the size of the data."""
    # Of a location: the variance of evenly used categories, less what subjects explain and what they leave unknown.
    # Of a step: how well two neighbouring categories out of all can be told apart.
    of_location, of_step = (n_categories**2 - 1) / 36, 1 / (2 * n_categories)
    parts: list[NDArray[np.float64]] = []
    for block in space.blocks:
        is_step = "step" in block.labels
        levels = prod(block.bijector.shape[: len(block.labels) - is_step])
        population = {
            POPULATION_MEAN: levels * n_subjects,
            POPULATION_SD: 2 * levels * n_subjects,
            CORRELATION: levels * n_subjects,
            COVARIATE_WEIGHT: levels * n_subjects,
        }
        guess = population.get(block.name, n_responses * (of_step if is_step else of_location)) / levels
        parts.append(np.full(block.bijector.size, max(guess, 1.0)))
    return np.concatenate(parts)


def marginal_problem(
    model: AbstractMeasurementModel, table: Table, *, prior: bool, n_nodes: int, half_width: float
) -> MarginalProblem:
    """Set up the marginal problem of a response model; equal responses of one subject are counted, not repeated.

    Raises:
        DesignError: A model of several dimensions, whose subjects do not stand on one grid.
    """
    require_one_dimension(model, "this function")
    cells, cell = distinct_cells(model, table)
    n_categories, n_cells = len(table.categories), len(next(iter(cells.values())))
    entries = (table.codes["subject"], cell * n_categories + table.response)
    # The conversion to compressed rows sums the weights of equal responses.
    counts = csr_array((table.weight, entries), shape=(len(table.levels["subject"]), n_cells * n_categories))
    nodes, log_weights = normal_grid(n_nodes, half_width)
    # Unsigned, so that programs need not look out for negative ones.
    known = jax.device_put({name: code.astype(np.uint32) for name, code in cells.items()})
    plan = nested_plan(model, table, known, cell)
    # Complete designs may be climbed on some of the subjects, whom the plan of a nested model does not tell apart.
    complete = CompleteSum.build(counts, n_categories) if plan is None else None
    return MarginalProblem(
        model=model,
        space=parameter_space(model, table, ability="integrated"),
        cells=known,
        responses=complete or GatherSum.build(counts),
        nodes=jax.device_put(nodes),
        log_weights=jax.device_put(log_weights),
        multiplicity=jax.device_put(np.ones(counts.shape[0])),
        background=background(model.population, table),
        nested=plan,
        n_categories=n_categories,
        prior=prior,
    )


def joint_problem(model: AbstractMeasurementModel, table: Table, *, prior: bool) -> JointProblem:
    """Set up the joint problem; models without subjects have no other. Equal rows are counted, not repeated.

    Raises:
        DesignError: A mixture of judges, whose comparisons hang together, or a latent-truth model, whose labels do.
    """
    if isinstance(model, AbstractTruthModel):
        raise DesignError(
            f"this takes responses as independent, and under {type(model).__name__} labels of one subject share its "
            "truth: use true_categories(fit, table), or the fit's own standard errors"
        )
    if isinstance(model, JudgeMixture):
        raise DesignError(
            f"this takes comparisons as independent, and under JudgeMixture those of one {model.over} hang together: "
            "use the fit's own standard errors, or NUTS()"
        )
    space, n_categories = parameter_space(model, table, ability="free"), model.n_outcomes(len(table.categories))
    if isinstance(model, AbstractChoiceModel):
        seen, _ = distinct_choices(model, table)
        codes = {name: jax.device_put(code) for name, code in seen.codes.items()}
        response, weight = jax.device_put(seen.response), jax.device_put(seen.weight)
        return JointProblem(model, space, codes, response, weight, n_categories, prior)
    columns = sorted({*model.facets, "subject"} if model.table_kind == "responses" else {*model.facets})
    codes, response, weight = distinct_rows({name: table.codes[name] for name in columns}, table)
    return JointProblem(
        model=model,
        space=space,
        codes={name: jax.device_put(code) for name, code in codes.items()},
        response=jax.device_put(response),
        weight=jax.device_put(weight),
        n_categories=n_categories,
        prior=prior,
    )
