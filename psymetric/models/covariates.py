"""What the columns of a table say of the levels of a facet: numbers as they are, labels as indicators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psymetric.data.coding import Label, code_names
from psymetric.errors import DataError
from psymetric.models.checks import Table

__all__ = ["are_numbers", "by_level", "check_spread", "known_codes", "level_terms"]

Matrix = NDArray[np.float64]

_MOST = 20_000_000
"""Indicators, labels × levels, that are still held in memory."""


def by_level(table: Table, name: str, owner: str) -> NDArray[np.int32]:
    """Code of each level of `owner` in a column that is constant within it, shape (levels,).

    Raises:
        DataError: No such column, or one that varies within a level.
    """
    if not (names := code_names(table.codes, name)):
        others = [column for column in table.levels if column not in ("subject", "item")]
        raise DataError(f"the model reads column {name!r}, which the table does not have: its facets are {others}")
    owners = code_names(table.codes, owner)
    if len(names) != len(owners):
        raise DataError(f"column {name!r} tells comparisons apart and not the levels of {owner!r}: give it by items=")
    level = np.concatenate([table.codes[column] for column in owners])
    code = np.concatenate([table.codes[column] for column in names])
    value = np.zeros(len(table.levels[owner]), np.int32)
    value[level] = code
    if np.any(wrong := value[level] != code):
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"column {name!r} must be constant within each {owner}, but {len(set(level[wrong].tolist()))} of "
            f"{len(value)} have several values; the first, {table.levels[owner][int(level[row])]!r}, "
            f"has {table.levels[name][int(code[row])]!r} and {table.levels[name][int(value[level[row]])]!r}"
        )
    return value


def level_terms(
    table: Table, owner: str, columns: tuple[str, ...], *, levels: Mapping[str, tuple[Label, ...]] | None = None
) -> tuple[tuple[str, ...], Matrix]:
    """Names of the terms that columns make, and their values, shape (levels of `owner`, terms).

    A column whose labels are numbers is one term; any other makes an indicator "column=label" for each label but the
    first.

    Args:
        table: Responses with those columns.
        owner: The facet whose levels they describe.
        columns: Their names.
        levels: Labels of the columns as a fit knows them, where the table is another.

    Raises:
        DataError: As `by_level`, or a label that the fit does not know.
    """
    names, terms = list[str](), list[Matrix]()
    for name in columns:
        code, labels = by_level(table, name, owner), table.levels[name]
        known = labels if levels is None else levels[name]
        if are_numbers(known):
            names.append(name)
            terms.append(_numbers(labels, name)[code])
            continue
        if (size := len(code) * len(known)) > _MOST:
            raise DataError(
                f"covariate {name!r} has {len(known):,} labels that are no numbers, an indicator each for "
                f"{len(code):,} levels of {owner!r} ({size:,} numbers): give numbers or fewer labels, or leave it out"
            )
        code = known_codes(code, labels, known, name)
        names += [f"{name}={label}" for label in known[1:]]
        terms += [np.asarray(code == place, np.float64) for place in range(1, len(known))]
    return tuple(names), np.stack(terms, axis=1) if terms else np.zeros((len(table.levels[owner]), 0))


def check_spread(names: tuple[str, ...], terms: Matrix, beside: Matrix, owner: str) -> None:
    """Raise DataError where a term does not vary, or where others and the columns of `beside` determine it."""
    if flat := [name for name, sd in zip(names, terms.std(axis=0).tolist(), strict=True) if sd == 0]:
        raise DataError(f"covariate {flat[0]!r} is the same for every {owner} and explains nothing: leave it out")
    whole = np.concatenate([beside, (terms - terms.mean(axis=0)) / terms.std(axis=0)], axis=1)
    rank = int(np.linalg.matrix_rank(whole))
    if rank < whole.shape[1]:
        raise DataError(
            f"the covariates {list(names)} of {owner!r} are not independent of each other and of its groups: "
            f"{len(whole)} levels determine {rank} of {whole.shape[1]} parameters. Leave some out"
        )


def known_codes(
    code: NDArray[np.int32], labels: tuple[Label, ...], known: tuple[Label, ...], name: str
) -> NDArray[np.int32]:
    """Codes by position among the labels a fit knows."""
    place = {label: position for position, label in enumerate(known)}
    if unknown := [label for label in labels if label not in place]:
        raise DataError(
            f"column {name!r} has label {unknown[0]!r}, which the fit does not know, only {list(known)[:20]}"
        )
    return np.array([place[label] for label in labels], np.int32)[code]


def are_numbers(labels: tuple[Label, ...]) -> bool:
    """Whether all labels are numbers, truth values not among them."""
    return all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in labels)


def _numbers(labels: tuple[Label, ...], name: str) -> Matrix:
    if not are_numbers(labels):
        text: Any = next(label for label in labels if not isinstance(label, (int, float)))
        raise DataError(f"covariate {name!r} was numbers where the model was fitted, and has the label {text!r} here")
    return np.array(labels, np.float64)
