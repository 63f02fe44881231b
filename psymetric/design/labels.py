"""Label sets (what stands before each option) and option orders (which option comes first).

Labels go by place: the option shown first gets the first label. Only the set "scores" goes with the option, which then
carries its own score wherever it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice, permutations
from string import ascii_lowercase, ascii_uppercase
from typing import Final

import numpy as np

from psymetric.errors import StudyError
from psymetric.instruments.yaml_files import nearest

__all__ = ["LABEL_SETS", "ORDER_FAMILIES", "labels", "order_family", "parse_order"]

LABEL_SETS: Final = ("letters", "lower", "numbers", "reversed-numbers", "roman", "symbols", "scores")
ORDER_FAMILIES: Final = ("original", "reversed", "cyclic", "full", "random")

_FIXED: Final[Mapping[str, Sequence[str]]] = {
    "letters": ascii_uppercase,
    "lower": ascii_lowercase,
    "roman": ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"),
    "symbols": "★●■▲◆▼✚○□△◇▽",
}
_EXPLICIT: Final = re.compile(r"\d+(-\d+)+")
_MAX_ORDERS: Final = 5040


def labels(name: str, size: int, *, scores: Sequence[object] = ()) -> tuple[str, ...]:
    """The labels of a set, in the order shown.

    Args:
        name: One of `LABEL_SETS`.
        size: Number of options.
        scores: For "scores": the score of each option, in the order shown.

    Raises:
        StudyError: No such set, or it has fewer than `size` labels.
    """
    if name in _FIXED:
        found = _FIXED[name]
    elif name in ("numbers", "reversed-numbers"):
        found = [str(i + 1) for i in range(size)][:: 1 if name == "numbers" else -1]
    elif name == "scores":
        found = [str(score) for score in scores]
    else:
        raise StudyError(f"no label set {name!r}; {nearest(name, LABEL_SETS)}")
    if len(found) < size:
        raise StudyError(f"label set {name!r} has {len(found)} labels for {size} options; take another set")
    return tuple(found[:size])


def parse_order(name: str, size: int) -> tuple[int, ...]:
    """The options in the order shown, as positions 0..size-1 in the original order.

    Args:
        name: "original", "reversed", or a permutation of 1..size such as "2-3-1".
        size: Number of options.

    Raises:
        StudyError: The name is none of these.
    """
    if name == "original":
        return tuple(range(size))
    if name == "reversed":
        return tuple(reversed(range(size)))
    if _EXPLICIT.fullmatch(name):
        order = tuple(int(part) - 1 for part in name.split("-"))
        if sorted(order) == list(range(size)):
            return order
    example = "-".join(str(i + 1) for i in (*range(1, size), 0))
    raise StudyError(
        f"no option order {name!r} of {size} options; valid: original, reversed, or a permutation such as {example!r}"
    )


def order_family(name: str, size: int, *, draws: int = 0, seed: int = 0) -> tuple[str, ...]:
    """Names of all orders in a family; the original comes first.

    Args:
        name: "original"; "reversed" (the original and its reverse); "cyclic" (each option first once); "full" (every
            permutation); "random" (the original and `draws - 1` other orders drawn without repetition).
        size: Number of options.
        draws: For "random": how many orders.
        seed: For "random".

    Raises:
        StudyError: No such family, or more orders than exist or can be listed.
    """
    everything = math.factorial(size)
    first = tuple(range(size))
    if name == "original":
        return ("original",)
    if name == "reversed":
        return ("original", "reversed")
    if name == "cyclic":
        return tuple(_order_name(first[i:] + first[:i]) for i in range(size))
    if name == "full":
        if everything > _MAX_ORDERS:
            raise StudyError(f"order full: {size} options have {everything:,} orders; use cyclic or {{random: m}}")
        return tuple(_order_name(order) for order in islice(permutations(range(size)), everything))
    if name == "random":
        return _random_orders(size, draws, seed)
    raise StudyError(f"no family of orders {name!r}; {nearest(name, ORDER_FAMILIES)}")


def _random_orders(size: int, draws: int, seed: int) -> tuple[str, ...]:
    everything = math.factorial(size)
    if not 1 <= draws <= min(everything, _MAX_ORDERS):
        limit = min(everything, _MAX_ORDERS)
        raise StudyError(f"order {{random: {draws}}}: {size} options allow 1 to {limit:,} orders")
    rng = np.random.default_rng([seed, size])
    found: dict[tuple[int, ...], None] = {tuple(range(size)): None}
    if everything <= _MAX_ORDERS:
        others = list(islice(permutations(range(size)), 1, None))
        picks = rng.choice(len(others), size=draws - 1, replace=False) if others and draws > 1 else []
        found.update({others[int(i)]: None for i in picks})
    while len(found) < draws:
        found[tuple(int(i) for i in rng.permutation(size))] = None
    return tuple(_order_name(order) for order in found)


def _order_name(order: tuple[int, ...]) -> str:
    if order == tuple(range(len(order))):
        return "original"
    if order == tuple(reversed(range(len(order)))):
        return "reversed"
    return "-".join(str(i + 1) for i in order)
