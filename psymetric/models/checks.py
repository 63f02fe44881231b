"""What models read of a table, and what they require of it and of their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.errors import DataError, DesignError

__all__ = [
    "Table",
    "check_prior_sd",
    "require_all_categories",
    "require_items",
    "require_two_categories",
    "require_unbroken_scales",
]


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


def require_unbroken_scales(model: object, table: Table) -> None:
    """Raise DataError where an item drew categories on both sides of one that it never drew."""
    counts = _category_counts(table)
    seen = counts > 0
    inside = (np.cumsum(seen, axis=1) > 0) & (np.cumsum(seen[:, ::-1], axis=1)[:, ::-1] > 0)
    _refuse(model, table, inside & ~seen, "whose thresholds then coincide")


def require_all_categories(model: object, table: Table) -> None:
    """Raise DataError where an item never drew some category, whose threshold would then be infinite."""
    _refuse(model, table, _category_counts(table) == 0, "whose threshold is then infinite")


def _category_counts(table: Table) -> NDArray[np.float64]:
    """Weight of the responses by item and category, shape (items, categories)."""
    n_items, n_categories = len(table.levels["item"]), len(table.categories)
    cells = table.codes["item"].astype(np.int64) * n_categories + table.response
    counts = np.bincount(cells, weights=table.weight, minlength=n_items * n_categories)
    return counts.reshape(n_items, n_categories).astype(np.float64)


def _refuse(model: object, table: Table, wrong: NDArray[np.bool_], why: str) -> None:
    if not wrong.any():
        return
    item, category = (int(place[0]) for place in np.nonzero(wrong))
    raise DataError(
        f"{type(model).__name__}: nobody chose category {table.categories[category]!r} of item "
        f"{table.levels['item'][item]!r} ({np.count_nonzero(wrong)} such cells), {why}. Merge categories "
        "(table.collapse_categories), or use GeneralizedPartialCredit(), which leaves unused ones out item by item"
    )
