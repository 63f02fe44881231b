"""Models of rankings and choices: several items of one set observed together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, final

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.data.rankings import RankingTable
from psymetric.errors import DataError, DesignError
from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = ["AbstractChoiceModel", "Choices", "distinct_choices", "padded_worths", "require_rankings"]

Codes = NDArray[np.int32]


@final
@dataclass(frozen=True)
class Choices:
    """What the likelihood of a choice model reads; R rankings of at most A items.

    Attributes:
        codes: "item", shape (R, A), best first, 0 past the end; what else a model reads, of shape (R,) or (R, A).
        response: What was observed of each item, shape (R, A), as the model says; -1 past the end.
        weight: How often each ranking counts, shape (R,).
    """

    codes: dict[str, Codes]
    response: Codes
    weight: NDArray[np.float64]

    def distinct(self) -> tuple[Choices, NDArray[np.int64]]:
        """Each distinct ranking once with its total weight, and the place of every ranking among them."""
        columns = [*self.codes.values(), self.response]
        rows = np.column_stack([column.reshape(len(self.weight), -1) for column in columns])
        keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
        _, first, owner = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        owner, first = place[owner.reshape(-1)].astype(np.int64), first[order]
        codes = {name: code[first] for name, code in self.codes.items()}
        return Choices(codes, self.response[first], np.bincount(owner, self.weight).astype(np.float64)), owner


class AbstractChoiceModel(AbstractMeasurementModel):
    """A model whose unit is a whole ranking or choice: settings, `parameters`, `choices` and `response_log_probs`.

    `codes` and `response` of its methods are those of `Choices`. There are too many possible rankings to give each a
    category, so that statistics by category do not apply.
    """

    @property
    @override
    @final
    def table_kind(self) -> Literal["responses", "pairs", "rankings"]:
        return "rankings"

    @abstractmethod
    def choices(self, table: RankingTable) -> Choices:
        """What the likelihood reads of a table, a row for each of its rankings."""

    @abstractmethod
    @override
    def response_log_probs(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], response: Array, n_categories: int
    ) -> Array:
        """Log-probability of every ranking, shape (R,)."""

    @abstractmethod
    @override
    def simulate(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> NDArray[np.int32]:
        """Draw a ranking of every set of items in `codes` ("item" and "shown", shape (R, A), and further facets).

        Returns:
            Category of every item, shape (R, A), 0 the best; -1 where nothing was shown.
        """

    @override
    @final
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        raise DesignError(
            f"{type(self).__name__} gives probability to whole rankings, which are no categories: statistics of "
            "categories and residuals are for responses and pairs"
        )


def distinct_choices(model: AbstractChoiceModel, table: Table) -> tuple[Choices, NDArray[np.int64]]:
    """`Choices.distinct` of a table that has passed the checks."""
    return model.choices(cast(RankingTable, table)).distinct()


def padded_worths(worth: Array, item: Array, response: Array, slope: Array | None = None) -> Array:
    """Worth of every item shown, times its ranking's slope, shape (R, A); minus infinity past the end."""
    value = worth[item]
    if slope is not None:
        value = slope[:, None] * value
    return jnp.where(response >= 0, value, -jnp.inf)


def require_rankings(model: object, table: Table, *, best_worst: bool, instead: str) -> RankingTable:
    """The table, when it holds rankings, or best-worst choices.

    Raises:
        DataError: The other of the two.
    """
    rankings = cast(RankingTable, table)
    if rankings.is_best_worst != best_worst:
        has, needs = ("rankings", "best-worst choices") if best_worst else ("best-worst choices", "rankings")
        raise DataError(f"{type(model).__name__} needs {needs} and the table holds {has}: use {instead}")
    return rankings
