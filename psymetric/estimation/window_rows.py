"""Responses dealt to subjects and to the dimensions that their items measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

__all__ = ["ItemGroup", "Subjects", "group_rows"]

Vector = NDArray[np.float64]


@final
@partial(jax.tree_util.register_dataclass, data_fields=["codes", "picked"], meta_fields=["dims"])
@dataclass(frozen=True)
class ItemGroup:
    """Responses of S subjects to the items that measure the same dimensions.

    Attributes:
        dims: Those dimensions.
        codes: Facet codes of every subject's responses, each of shape (S, slots).
        picked: Weight of every response in its category, zero where a subject has no further response, shape (S, slots,
            categories).
    """

    dims: tuple[int, ...]
    codes: dict[str, Array]
    picked: Array


@final
@partial(jax.tree_util.register_dataclass, data_fields=["groups", "centre", "spacing"], meta_fields=[])
@dataclass(frozen=True)
class Subjects:
    """S subjects: their responses, and the windows under their posteriors, each of shape (S, D) in logits."""

    groups: tuple[ItemGroup, ...]
    centre: Array
    spacing: Array


def group_rows(
    pattern: NDArray[np.bool_],
    codes: Mapping[str, NDArray[np.int32]],
    subject: NDArray[np.int32],
    response: NDArray[np.int32],
    weight: Vector,
    *,
    n_subjects: int,
    n_categories: int,
) -> tuple[ItemGroup, ...]:
    """Rows dealt to subjects, one group for every set of dimensions that items measure together.

    `pattern` says which items measure which dimensions, shape (items, D); codes ("item" among them), responses and
    weights belong to rows, shape (rows,).
    """
    kinds, kind_of = np.unique(pattern, axis=0, return_inverse=True)
    kind = kind_of.reshape(-1)[codes["item"]]
    groups: list[ItemGroup] = []
    for place in range(len(kinds)):
        rows = np.flatnonzero((kind == place) & (weight > 0))
        if not len(rows):
            continue
        rows = rows[np.argsort(subject[rows], kind="stable")]
        owner = subject[rows]
        count = np.bincount(owner, minlength=n_subjects)
        slot = np.arange(len(rows)) - (np.cumsum(count) - count)[owner]
        shape = (n_subjects, int(count.max()))
        dealt: dict[str, Array] = {}
        for name, code in codes.items():
            table = np.zeros(shape, np.int32)
            table[owner, slot] = code[rows]
            dealt[name] = jax.device_put(table)
        picked = np.zeros((*shape, n_categories))
        picked[owner, slot, response[rows]] = weight[rows]
        groups.append(ItemGroup(tuple(np.flatnonzero(kinds[place]).tolist()), dealt, jax.device_put(picked)))
    return tuple(groups)
