"""Margins of one and two variables: what is counted, what a model expects of it, and how it varies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, final

import jax
import numpy as np
from numpy.typing import NDArray

__all__ = ["Margins", "covariance", "margins"]

Array = NDArray[np.float64]


@final
@partial(
    jax.tree_util.register_dataclass,
    data_fields=["values", "owner", "first", "second"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Margins:
    """Means of functions of one variable, and of products of functions of two variables.

    Attributes:
        values: Value of each function in each category, shape (functions, K). The first function is 1 everywhere.
        owner: Variable of each function, shape (functions,).
        first: Function of each margin, shape (m,).
        second: Function that it is multiplied by, 0 for margins of one variable, shape (m,).
    """

    values: Array
    owner: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @property
    def n_margins(self) -> int:
        """How many means."""
        return len(self.first)

    def given(self, probability: Any) -> Any:
        """Margins at each node, from category probabilities of shape (V, K, nodes); shape (m, nodes)."""
        mean = (self.values[:, :, None] * probability[self.owner]).sum(axis=1)
        return mean[self.first] * mean[self.second]

    def observed(self, response: NDArray[np.int32]) -> Array:
        """Means over subjects, from categories of shape (S, V); shape (m,)."""
        scores = self.values[np.arange(len(self.owner)), response[:, self.owner]]
        product = scores.T @ scores / len(response)
        return product[self.first, self.second]


def margins(response: NDArray[np.int32], n_categories: int, *, product: bool, means: bool) -> Margins:
    """Which margins to compare.

    Args:
        response: Categories, shape (S, V); a category that a variable never uses has no margin.
        n_categories: K.
        product: Of pairs, the mean product of scores, instead of all combinations of categories.
        means: Of single variables, the mean score, instead of all categories.
    """
    score = np.arange(n_categories, dtype=np.float64)
    values, owner = [np.ones(n_categories)], [0]
    scores: list[list[int]] = []
    indicators: list[list[int]] = []
    for variable in range(response.shape[1]):
        used = np.unique(response[:, variable])[1:]
        scores.append([len(values)])
        values.append(score)
        indicators.append([len(values) + k for k in range(len(used))])
        values += [(score == category).astype(np.float64) for category in used]
        owner += [variable] * (1 + len(used))
    single = scores if means else indicators
    double = scores if product else indicators
    alone = [(function, 0) for functions in single for function in functions]
    together = [(a, b) for left, right in combinations(double, 2) for a in left for b in right]
    first, second = np.array(alone + together, np.int64).T
    return Margins(np.array(values), np.array(owner), first, second)


def covariance(chosen: Margins, probability: Array, weight: Array) -> Array:
    """Covariance of the margins' summands, responses independent given the node, shape (m, m).

    That of their expectations given the node, plus what is left at each node where two margins share a variable.

    Args:
        chosen: The margins.
        probability: Shape (V, K, nodes).
        weight: Of the nodes, shape (nodes,).
    """
    mean = (chosen.values[:, :, None] * probability[chosen.owner]).sum(axis=1)
    given = mean[chosen.first] * mean[chosen.second]
    centre = given @ weight
    found = (given * weight) @ given.T - np.outer(centre, centre)
    for variable in range(len(probability)):
        _add_shared(found, chosen, mean, probability[variable], weight, variable)
    _add_both_shared(found, chosen, mean, probability, weight)
    return found


def _left_over(values: Array, mean: Array, probability: Array) -> Array:
    """Covariances of functions of one variable at each node, shape (functions, functions, nodes)."""
    return np.einsum("fk,gk,kq->fgq", values, values, probability) - mean[:, None] * mean[None]


def _add_shared(found: Array, chosen: Margins, mean: Array, probability: Array, weight: Array, variable: int) -> None:
    """Add what margins share through one variable, the other factor of each being at its expectation."""
    functions = np.flatnonzero(chosen.owner == variable)
    functions = functions[functions > 0]
    spread = _left_over(chosen.values[functions], mean[functions], probability)
    members, others = [], []
    for function in functions:
        as_first, as_second = np.flatnonzero(chosen.first == function), np.flatnonzero(chosen.second == function)
        members.append(np.concatenate([as_first, as_second]))
        others.append(mean[np.concatenate([chosen.second[as_first], chosen.first[as_second]])])
    for a, b in np.ndindex(len(functions), len(functions)):
        found[np.ix_(members[a], members[b])] += (others[a] * (weight * spread[a, b])) @ others[b].T


def _add_both_shared(found: Array, chosen: Margins, mean: Array, probability: Array, weight: Array) -> None:
    """Add the product of what is left of both variables, for margins of the same two variables."""
    double = np.flatnonzero(chosen.second > 0)
    key = chosen.owner[chosen.first[double]] * len(probability) + chosen.owner[chosen.second[double]]
    order = np.argsort(key, kind="stable")
    for group in np.split(double[order], np.flatnonzero(np.diff(key[order])) + 1):
        left, right = (
            _left_over(chosen.values[function], mean[function], probability[chosen.owner[function[0]]])
            for function in (chosen.first[group], chosen.second[group])
        )
        found[np.ix_(group, group)] += (left * right) @ weight
