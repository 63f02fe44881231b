"""Where subjects stand as they respond: at their ability, at a sum of several, or moved by what ratings share.

Given its position a response depends on nothing else of the subject, whatever the model: the position is θ itself; the
weighted sum of several abilities that an item measures; θ plus the halo of the one who judges; or the ideal category
of the piece of work. Fit of responses is therefore one computation, of models whose ability is the position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, final

import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.special import logsumexp
from typing_extensions import override

from psymetric.core.precision import double_precision
from psymetric.estimation.fit import Fit
from psymetric.estimation.window_draws import draw_from_windows
from psymetric.estimation.windows import Integral, all_moments
from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.space import CORRELATION, POPULATION_MEAN, POPULATION_SD, has_dimensions
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.dimensions import masses_of, windows_of
from psymetric.scoring.likelihood import check_possible
from psymetric.scoring.nested import NestedRows, nested_posterior
from psymetric.scoring.population import population_of
from psymetric.scoring.posterior import Posterior, subject_posterior

__all__ = ["AtPosition", "Positions", "at_position", "positions_of", "unit_of"]

Array = NDArray[np.float64]

_SLOPES = "discrimination"
_REACH, _NODES = 6.0, 41
"""Nodes of a position that is a sum, over ± this many posterior sds."""


@final
@dataclass(frozen=True)
class AtPosition(AbstractMeasurementModel):
    """A model of several latent variables as one of the position that they make up, which is its ability."""

    whole: AbstractMeasurementModel

    @property
    @override
    def table_kind(self) -> Literal["responses", "pairs", "rankings"]:
        return self.whole.table_kind

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return self.whole.facets

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",)),
            *(spec for spec in self.whole.parameters if spec.name not in (ABILITY, _SLOPES)),
        )

    @override
    def n_outcomes(self, n_categories: int) -> int:
        return self.whole.n_outcomes(n_categories)

    @override
    def category_log_probs(
        self, params: Mapping[str, JaxArray], codes: Mapping[str, JaxArray], n_categories: int
    ) -> JaxArray:
        position, whole = params[ABILITY], self.whole
        if isinstance(whole, AbstractNestedModel):
            # A normal variable is added to the ability, and a state is all that a response knows of it.
            moved = {ABILITY: jnp.zeros_like(position), whole.latent: position}
            return whole.category_log_probs({**params, **moved}, {**codes, whole.owner: codes["subject"]}, n_categories)
        alone = {ABILITY: position[:, None], _SLOPES: jnp.ones_like(params["item"])[:, None]}
        return whole.category_log_probs({**params, **alone}, codes, n_categories)


def at_position(model: AbstractMeasurementModel) -> AbstractMeasurementModel:
    """The model of a response given the position; the model itself where that is the ability."""
    return AtPosition(model) if has_dimensions(model) or isinstance(model, AbstractNestedModel) else model


def unit_of(model: AbstractMeasurementModel, n_categories: int) -> str:
    """Unit of the positions: logits, or categories where responses know of the subject by a state only."""
    is_state = isinstance(model, AbstractNestedModel) and model.n_states(n_categories) is not None
    return "category" if is_state else "logit"


class Positions(Protocol):
    """Positions of a table's respondents: of its subjects, once for all responses that share one position.

    Attributes:
        rows: The responses in the table's order, with `at_position` of the model; subjects are the respondents.
        posterior: Of each respondent's position, shape (respondents, nodes).
    """

    @property
    def rows(self) -> AlignedRows:
        """The responses of the respondents."""
        ...

    @property
    def posterior(self) -> Posterior:
        """Posteriors of the positions."""
        ...

    @property
    def measure(self) -> Array:
        """The measure of each respondent, shape (respondents,): its mean position, without what ratings share."""
        ...

    def drawn(self, n: int, rng: np.random.Generator) -> Array:
        """Draws from the posteriors, those of one subject's respondents together, shape (respondents, n)."""
        ...

    def anew(self, rng: np.random.Generator) -> Array:
        """Positions of other subjects in their place, from the population, shape (respondents,)."""
        ...


def positions_of(fit: Fit, rows: AlignedRows, table: Table, *, who: str) -> Positions:
    """Positions under a fit that integrates its subjects out, with all else at its estimates.

    Args:
        fit: The fit.
        rows: The table's responses in its coding.
        table: The table, for the columns of the population.
        who: The public function, for messages.

    Raises:
        DataError: A level without an estimate, a category that its steps never saw, or as `population_of`.
    """
    check_possible(replace(rows, model=at_position(rows.model)), who=who)
    if has_dimensions(fit.model):
        return _weighted(rows)
    mean, sd, _ = population_of(fit, table, who=who)
    if isinstance(fit.model, AbstractNestedModel):
        return _shared(rows, fit.model, mean, sd)
    return _Ability(rows, subject_posterior(rows, mean, sd), mean, sd)


@final
@dataclass(frozen=True)
class _Ability:
    """The ability itself."""

    rows: AlignedRows
    posterior: Posterior
    mean: Array
    sd: Array

    @property
    def measure(self) -> Array:
        return self.posterior.mean

    def drawn(self, n: int, rng: np.random.Generator) -> Array:
        return self.posterior.quantile(rng.random((len(self.rows.subjects), n)))

    def anew(self, rng: np.random.Generator) -> Array:
        return self.mean + self.sd * rng.standard_normal(len(self.mean))


@final
@dataclass(frozen=True)
class _Weighted:
    """Weighted sums of several abilities, one for every subject and distinct row of slopes.

    Attributes:
        subject, kind: Of each respondent, shape (P,).
        slopes: The distinct rows, shape (kinds, D).
        integral: The subjects' posteriors.
        params: The fit's arrays.
    """

    rows: AlignedRows
    posterior: Posterior
    subject: NDArray[np.int64]
    kind: NDArray[np.int64]
    slopes: Array
    integral: Integral
    params: Mapping[str, Any]

    @property
    def measure(self) -> Array:
        return self.posterior.mean

    def drawn(self, n: int, rng: np.random.Generator) -> Array:
        with double_precision():
            abilities = draw_from_windows(self.integral, self.params, n, seed=int(rng.integers(1 << 31)))
        return self._sums(abilities)

    def anew(self, rng: np.random.Generator) -> Array:
        mean, sd, correlation = (
            np.asarray(self.params[name]) for name in (POPULATION_MEAN, POPULATION_SD, CORRELATION)
        )
        noise = rng.standard_normal((self.integral.n_subjects, len(mean)))
        return self._sums((mean + sd * (noise @ np.linalg.cholesky(correlation).T))[None])[:, 0]

    def _sums(self, abilities: Array) -> Array:
        """From abilities, shape (n, S, D), to positions, shape (P, n)."""
        return np.einsum("npd,pd->pn", abilities[:, self.subject], self.slopes[self.kind])


def _weighted(rows: AlignedRows) -> _Weighted:
    slopes, kind_of = np.unique(rows.params[_SLOPES][rows.codes["item"]], axis=0, return_inverse=True)
    keys, respondent = np.unique(rows.subject * np.int64(len(slopes)) + kind_of.reshape(-1), return_inverse=True)
    subject, kind = np.divmod(keys, len(slopes))
    params = dict(rows.params)
    with double_precision():
        integral = windows_of(rows)
        found = all_moments(integral, params)
        offset = np.arange(integral.n_nodes) - (integral.n_nodes - 1) / 2
        placed = integral.subjects
        nodes = np.asarray(placed.centre)[..., None] + np.asarray(placed.spacing)[..., None] * offset
        marginal = np.asarray(found.marginal)
        mixed = any(np.count_nonzero(row) > 1 for row in slopes)
        theta, weight = np.empty((2, len(keys), _NODES if mixed else integral.n_nodes))
        for place, row in enumerate(slopes):
            mine = np.flatnonzero(kind == place)
            dims, who = np.flatnonzero(row), subject[mine]
            if len(dims) == 1:
                at, mass = row[dims[0]] * nodes[who, dims[0]], marginal[who, dims[0]]
            else:
                axes = [(row[d] * nodes[who, d]).reshape(len(who), *(-1 if d == e else 1 for e in dims)) for d in dims]
                at = sum(axes, np.zeros(1)).reshape(len(who), -1)
                mass = masses_of(integral, params, tuple(dims.tolist()))[who]
            line = _on_line(at, mass) if mixed else Posterior(at, mass)
            theta[mine], weight[mine] = line.theta, line.weight
    return _Weighted(
        _respondents(rows, respondent, len(keys)), Posterior(theta, weight), subject, kind, slopes, integral, params
    )


@final
@dataclass(frozen=True)
class _Shared:
    """What an owner's responses share: the ability plus a normal variable, or a state.

    Attributes:
        nested: The owners.
        ability: Posterior of each subject.
        mean, sd: Of each subject's population, shape (S,).
    """

    rows: AlignedRows
    posterior: Posterior
    nested: NestedRows
    ability: Posterior
    mean: Array
    sd: Array

    @property
    def measure(self) -> Array:
        return self.ability.mean[self.nested.subject] if self.nested.grid.is_normal else self.posterior.mean

    def drawn(self, n: int, rng: np.random.Generator) -> Array:
        theta = self.ability.quantile(rng.random((len(self.mean), n)))
        latent = self.nested.drawn(theta, rng)
        return theta[self.nested.subject] + latent if self.nested.grid.is_normal else latent

    def anew(self, rng: np.random.Generator) -> Array:
        nested = self.nested
        theta = self.mean + self.sd * rng.standard_normal(len(self.mean))
        with double_precision():
            codes = {"subject": jnp.asarray(nested.subject), nested.model.within: jnp.asarray(nested.level)}
            params = {name: jnp.asarray(value) for name, value in {**nested.rows.params, ABILITY: theta}.items()}
            drawn, _ = nested.model.with_latent(
                params, codes, len(nested.rows.categories), seed=int(rng.integers(1 << 31))
            )
            latent = np.asarray(drawn[nested.model.latent], np.float64)
        return theta[nested.subject] + latent if nested.grid.is_normal else latent


def _shared(rows: AlignedRows, model: AbstractNestedModel, mean: Array, sd: Array) -> _Shared:
    ability, nested = nested_posterior(rows, model, mean, sd)
    owner = nested.owners_of(rows)
    if nested.grid.is_normal:
        posterior = _moved(nested, ability)
    else:
        mass, _ = nested.inner(ability)
        posterior = Posterior(np.tile(np.asarray(nested.grid.nodes, np.float64), (len(mass), 1)), mass)
    return _Shared(_respondents(rows, owner, len(nested.subject)), posterior, nested, ability, mean, sd)


def _moved(nested: NestedRows, ability: Posterior) -> Posterior:
    """Posterior of the ability plus the owner's variable, by owner."""
    values = nested.values
    theta, weight = np.empty((2, len(nested.subject), _NODES))
    for owners, joint in nested.log_joint(ability.theta):
        own = np.exp(joint - np.asarray(logsumexp(joint, axis=2, keepdims=True)))
        who = nested.subject[owners]
        at = ability.theta[who][:, :, None] + values
        line = _on_line(at.reshape(len(who), -1), (ability.weight[who][:, :, None] * own).reshape(len(who), -1))
        theta[owners], weight[owners] = line.theta, line.weight
    return Posterior(theta, weight)


def _respondents(rows: AlignedRows, respondent: NDArray[np.int64], count: int) -> AlignedRows:
    return replace(
        rows,
        model=at_position(rows.model),
        params={name: value for name, value in rows.params.items() if name != _SLOPES},
        subject=respondent.astype(np.int32),
        subjects=tuple(range(count)),
    )


def _on_line(at: Array, mass: Array) -> Posterior:
    """Masses at any places, shape (B, places) each, on few nodes with the same mean and variance.

    Each mass is split between the two nodes beside it, which widens the whole a little, and the nodes are drawn in
    by that much.
    """
    n, mean = len(at), np.sum(mass * at, axis=1, keepdims=True)
    sd = np.sqrt(np.maximum(np.sum(mass * (at - mean) ** 2, axis=1, keepdims=True), 1e-300))
    step = 2 * _REACH * sd / (_NODES - 1)
    place = np.clip((at - mean) / step + (_NODES - 1) / 2, 0.0, _NODES - 1.0)
    low = np.minimum(place.astype(np.int64), _NODES - 2)
    cell, above = low + _NODES * np.arange(n)[:, None], mass * (place - low)
    weight = np.bincount(cell.ravel(), (mass - above).ravel(), n * _NODES)
    weight += np.bincount(cell.ravel() + 1, above.ravel(), n * _NODES)
    weight = weight.astype(np.float64).reshape(n, _NODES)
    nodes = step * (np.arange(_NODES) - (_NODES - 1) / 2)
    centre = np.sum(weight * nodes, axis=1, keepdims=True)
    wide = np.sqrt(np.sum(weight * (nodes - centre) ** 2, axis=1, keepdims=True))
    return Posterior(mean + (nodes - centre) * sd / np.maximum(wide, 1e-300), weight)
