"""What a measurement model is: settings, parameter specifications and one likelihood function.

Everything else (log-likelihood, simulation, identification, priors, initial values, labels in results) is derived from
these three, here and in `models/space.py`, and is the same for every model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.errors import DataError, DesignError

__all__ = [
    "ABILITY",
    "AbstractMeasurementModel",
    "Label",
    "ParamSpec",
    "Table",
    "check_prior_sd",
    "require_all_categories",
    "require_items",
    "require_two_categories",
]

ABILITY = "ability"
"""Name of the subject parameter that marginal engines integrate over."""


class Table(Protocol):
    """What models and engines read of a `ResponseTable` or a `PairTable`."""

    @property
    def codes(self) -> Mapping[str, NDArray[np.int32]]: ...
    @property
    def levels(self) -> Mapping[str, tuple[Label, ...]]: ...
    @property
    def response(self) -> NDArray[np.int32]: ...
    @property
    def weight(self) -> NDArray[np.float64]: ...
    @property
    def categories(self) -> tuple[Label, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def hash(self) -> object: ...  # a str; tables cache it, and type checkers do not match a cached property with str


def check_prior_sd(model: object, value: object, *, name: str = "prior_sd") -> None:
    """Raise DesignError unless `value` is a positive, finite number of logits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise DesignError(f"{type(model).__name__}({name}={value!r}) must be a positive number of logits, such as 2.0")


@final
@dataclass(frozen=True)
class ParamSpec:
    """One parameter array of a model, as data.

    Attributes:
        name: Key of the array in results.
        axes: Its axes: facet names, and "step" for the steps between categories. Empty for a scalar.
        support: Where its values live: the reals, above zero, between 0 and 1, or (steps) in rising order.
        identification: "free", or "sum_to_zero" along every axis (steps: within each group; positive values: their
            logs, so that the geometric mean is one).
        centre: Where the prior is centred and the engines start, on the free scale: the value itself, its log where
            positive, its logit between 0 and 1.
        prior_sd: Scale of the normal prior on the free scale, used by MAP, Laplace and NUTS.
        random: Levels are draws from N(0, sd²) whose sd is estimated.
        anchors: Levels fixed at known values, (level, logits); the facet is then not centred.
        unit: Unit of the values.
    """

    name: str
    axes: tuple[str, ...]
    support: Literal["real", "positive", "unit", "ordered"] = "real"
    identification: Literal["free", "sum_to_zero"] = "free"
    centre: float = 0.0
    prior_sd: float = 2.0
    random: bool = False
    anchors: tuple[tuple[Label, float], ...] = ()
    unit: str = "logit"

    @property
    def is_location(self) -> bool:
        """Whether its levels stand on the scale of the subjects: difficulties, severities, interactions."""
        return self.name != ABILITY and bool(self.axes) and "step" not in self.axes and self.unit == "logit"


def require_two_categories(model: object, table: Table, instead: str) -> None:
    """Raise DataError unless the table has two categories; `instead` names what to use where it has more."""
    if len(table.categories) != 2:
        raise DataError(
            f"{type(model).__name__} needs two categories, but the table has {len(table.categories)} "
            f"({list(table.categories)}): use {instead} for ordered categories"
        )


def require_items(model: object, table: Table, least: int) -> None:
    """Raise DataError where so few items cannot tell slopes from the spread of the subjects."""
    if len(table.levels["item"]) < least:
        raise DataError(
            f"{type(model).__name__} estimates a slope for every item, which takes at least {least} items; the table "
            f"has {len(table.levels['item'])} ({list(table.levels['item'])}). Use Rasch() or "
            "ManyFacetRasch(facets=('item',))"
        )


def require_all_categories(model: object, table: Table) -> None:
    """Raise DataError where an item never drew some category, whose threshold would then be infinite."""
    n_items, n_categories = len(table.levels["item"]), len(table.categories)
    cells = table.codes["item"].astype(np.int64) * n_categories + table.response
    counts = np.bincount(cells, weights=table.weight, minlength=n_items * n_categories).reshape(n_items, n_categories)
    item, category = (int(place[0]) if len(place) else -1 for place in np.nonzero(counts == 0))
    if item >= 0:
        raise DataError(
            f"{type(model).__name__}: nobody chose category {table.categories[category]!r} of item "
            f"{table.levels['item'][item]!r} ({np.count_nonzero(counts == 0)} such cells), so that its threshold is "
            "infinite. Merge categories (table.collapse_categories), or use GeneralizedPartialCredit(), which leaves "
            "unused ones out item by item"
        )


class AbstractMeasurementModel(ABC):
    """A measurement model: a frozen dataclass of settings, `parameters` and `category_log_probs`."""

    @property
    @abstractmethod
    def table_kind(self) -> Literal["responses", "pairs"]:
        """Which table the model reads."""

    @property
    @abstractmethod
    def facets(self) -> tuple[str, ...]:
        """Code columns that the likelihood reads, besides "subject" for response models."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[ParamSpec, ...]:
        """The parameter arrays, in the order they are reported."""

    @abstractmethod
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probability of every category for every response, shape (responses, categories).

        Args:
            params: Constrained arrays by name.
            codes: Integer codes by column, each of shape (responses,).
            n_categories: Number of categories of the table.
        """

    @property
    def population(self) -> Literal["estimated", "standard"]:
        """Whether the subjects' mean and sd are estimated, or 0 and 1 because slopes and locations are free."""
        return "estimated"

    @property
    def needs_prior(self) -> bool:
        """Whether plain maximum likelihood is not to be relied on, so that MAP is the recommended engine."""
        return False

    def n_outcomes(self, n_categories: int) -> int:
        """Number of categories the model gives probability to; the table's own unless a model says otherwise."""
        return n_categories

    def check(self, table: Table) -> None:
        """Raise what makes this table unfit for this model beyond missing columns; most models have nothing to add."""

    @final
    def log_likelihood(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], response: Array, weight: Array, n_categories: int
    ) -> Array:
        """Weighted log-likelihood of the responses, a scalar."""
        log_probs = self.category_log_probs(params, codes, n_categories)
        chosen = jnp.take_along_axis(log_probs, response[:, None], axis=1)[:, 0]
        return jnp.sum(weight * chosen)

    @final
    def simulate(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> NDArray[np.int32]:
        """Draw a category for every row of `codes` from the model's own probabilities, shape (rows,)."""
        log_probs = self.category_log_probs(params, codes, n_categories)
        return np.asarray(jax.random.categorical(jax.random.key(seed), log_probs, axis=1), np.int32)
