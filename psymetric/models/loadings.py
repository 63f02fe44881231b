"""Which items measure which dimensions: read from a key or from a column, and checked for what it can determine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import listing
from psymetric.errors import DataError, IdentificationError
from psymetric.models.checks import Table

__all__ = ["Loadings", "check_rotation", "loadings_from_column", "loadings_from_key"]


@final
@dataclass(frozen=True)
class Loadings:
    """Names of D dimensions, and which items measure them, shape (items, D)."""

    names: tuple[Label, ...]
    pattern: NDArray[np.bool_]


def loadings_from_key(key: Mapping[str, tuple[Label, ...]], table: Table) -> Loadings:
    """The pattern that a key states for the items of a table.

    Raises:
        DataError: A key that names items the table does not have, or leaves out items that it has.
    """
    items = table.levels["item"]
    place = {label: code for code, label in enumerate(items)}
    pattern = np.zeros((len(items), len(key)), bool)
    for column, (name, members) in enumerate(key.items()):
        if unknown := [label for label in members if label not in place]:
            raise DataError(
                f"the key of dimension {name!r} names {len(unknown)} items that the table does not have: "
                f"{listing(unknown)}; its items are {listing(items)}"
            )
        pattern[[place[label] for label in members], column] = True
    if names := [items[code] for code in np.flatnonzero(~pattern.any(axis=1)).tolist()]:
        raise DataError(
            f"{len(names)} of {len(items)} items stand under no dimension of the key: {listing(names)}. Add them to "
            "it, or leave their rows out with table.select"
        )
    return Loadings(tuple(key), pattern)


def loadings_from_column(column: str, table: Table) -> Loadings:
    """The pattern in which each item measures the one dimension that a column of the table gives it.

    Raises:
        DataError: No such column, or one that varies within an item.
    """
    if column not in table.codes:
        others = [name for name in table.codes if name not in ("subject", "item")]
        raise DataError(
            f"the dimensions are read from column {column!r}, which the table does not have: its facets are {others}. "
            'Give key={"E": ("i1", "i2"), "N": ("i3", "i4")}, or name the column: dimension="..."'
        )
    item, code, names = table.codes["item"], table.codes[column], table.levels[column]
    value = np.zeros(len(table.levels["item"]), np.int32)
    value[item] = code
    if np.any(wrong := value[item] != code):
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"column {column!r} must be constant within an item, but {len(set(item[wrong].tolist()))} of "
            f"{len(value)} items have several values; the first, {table.levels['item'][int(item[row])]!r}, has "
            f"{names[int(code[row])]!r} and {names[int(value[item[row]])]!r}. An item that measures several "
            "dimensions stands under each of them in key=..."
        )
    return Loadings(names, value[:, None] == np.arange(len(names)))


def check_rotation(loadings: Loadings, *, slopes: bool) -> None:
    """Raise where the pattern leaves two dimensions indistinguishable.

    With slopes of one the columns must be linearly independent. With free slopes and free correlations a dimension is
    fixed up to its sign if and only if the items that do not measure it determine all the others: their slopes have
    rank D - 1 for almost every value of the slopes (Howe, 1955; Jöreskog, 1979).

    Raises:
        IdentificationError: Names a dimension, and one that it cannot be told from.
    """
    pattern, names = loadings.pattern, loadings.names
    n = len(names)
    # Generic slopes: any numbers drawn from a density have the largest rank of the pattern with probability one.
    value = pattern * np.random.default_rng(0).uniform(0.5, 2.0, pattern.shape) if slopes else pattern.astype(float)
    if not slopes and np.linalg.matrix_rank(value) == n:
        return
    for d in range(n):
        without = np.delete(value[~pattern[:, d]] if slopes else value, d, axis=1)
        mixed = np.linalg.matrix_rank(without) < n - 1 if slopes else _depends(value, d)
        if mixed:
            others = [e for e in range(n) if e != d and not pattern[~pattern[:, d], e].any()]
            alike = names[others[0]] if others else [name for e, name in enumerate(names) if e != d]
            raise IdentificationError(
                f"the key does not tell dimension {names[d]!r} from {alike!r}: the items that measure the one and not "
                "the other are too few, so that their axes can be rotated into each other. Give each pair of "
                "dimensions items of its own"
            )


def _depends(value: NDArray[np.float64], d: int) -> bool:
    """Whether column d is a combination of the others."""
    return bool(np.linalg.matrix_rank(np.delete(value, d, axis=1)) == np.linalg.matrix_rank(value))
