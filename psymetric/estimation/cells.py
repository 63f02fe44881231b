"""Rows of a table that a model does not tell apart, counted instead of repeated."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from psymetric.core.distinct import distinct_places, factorized
from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = ["distinct_cells", "distinct_rows"]


def distinct_cells(
    model: AbstractMeasurementModel, table: Table
) -> tuple[dict[str, NDArray[np.int32]], NDArray[np.int64]]:
    """Distinct combinations of the model's facets in the table, and the cell of every row."""
    sizes = [int(table.codes[facet].max(initial=0)) + 1 for facet in model.facets]
    flat = np.zeros(len(table.response), np.int64)
    for facet, size in zip(model.facets, sizes, strict=True):
        flat = flat * size + table.codes[facet]
    keys, cell = factorized(flat, prod(sizes))
    codes: dict[str, NDArray[np.int32]] = {}
    for facet, size in zip(reversed(model.facets), reversed(sizes), strict=True):
        codes[facet] = (keys % size).astype(np.int32)
        keys = keys // size
    return codes, cell


def distinct_rows(
    columns: dict[str, NDArray[np.int32]], table: Table
) -> tuple[dict[str, NDArray[np.int32]], NDArray[np.int32], NDArray[np.float64]]:
    """Distinct combinations of codes and response, and the sum of the weights of their rows."""
    first, place = distinct_places([*columns.values(), table.response])
    weight = np.bincount(place, weights=table.weight, minlength=len(first)).astype(np.float64)
    return {name: code[first] for name, code in columns.items()}, table.response[first], weight
