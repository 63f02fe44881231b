"""What may be assumed of judges, as linear constraints on their matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import listing, nearest
from psymetric.errors import DataError

__all__ = ["Diagonal", "JudgeAssumptions", "JudgeLimits", "Order", "judge_limits"]

Order = Literal["none", "lowest", "stochastic"]
Diagonal = Literal["none", "chance", "likeliest"]

_ORDERS = {
    "lowest": "the lowest label becomes no likelier as the truth rises",
    "stochastic": "labels rise with the truth (stochastic order)",
}
_DIAGONALS = {
    "chance": "each label is at least as likely under its own true level as under any other",
    "likeliest": "the true level is the likeliest label",
}


@dataclass(frozen=True)
class JudgeAssumptions:
    """What is taken for granted of every judge. θ[m, k] is its probability of label k when the true level is m.

    All are weak inequalities, so that a judge at the edge is allowed. Every one of them is linear in θ.

    Attributes:
        order: `"lowest"`: θ[m, 0] does not rise with m. `"stochastic"`: no cumulative probability θ[m, 0] + … + θ[m, k]
            rises with m. `"none"`: neither.
        diagonal: `"chance"`: θ[m, m] ≥ θ[l, m] for all l; with two levels a judge that is not worse than chance
            (Youden's index ≥ 0). `"likeliest"`: θ[m, m] ≥ θ[m, k] for all k. `"none"`: neither.
        accuracy: θ[m, m] is at least this, for every m.
        known: θ itself, shape (levels, labels), of every judge, or judge -> θ of some.
    """

    order: Order = "none"
    diagonal: Diagonal = "none"
    accuracy: float = 0.0
    known: ArrayLike | Mapping[Any, ArrayLike] | None = None

    def __post_init__(self) -> None:
        for name, got, options in (
            ("order", self.order, get_args(Order)),
            ("diagonal", self.diagonal, get_args(Diagonal)),
        ):
            if got not in options:
                raise DataError(f"JudgeAssumptions: {name}={got!r}; {nearest(got, options)}")
        if not 0 <= self.accuracy <= 1:
            raise DataError(f"JudgeAssumptions: accuracy={self.accuracy} is no probability from 0 to 1")

    def describe(self) -> str:
        """The assumptions in words."""
        words = [_ORDERS[self.order]] if self.order != "none" else []
        words += [_DIAGONALS[self.diagonal]] if self.diagonal != "none" else []
        words += [f"each true level is labelled right with probability {self.accuracy:g} at least"] * bool(
            self.accuracy
        )
        if isinstance(self.known, Mapping):
            words.append(f"the matrices of {listing(self.known)} are known")
        elif self.known is not None:
            words.append("the judges' matrix is known")
        return "; ".join(words) or "nothing but that judges treat candidates alike"


@dataclass(frozen=True, eq=False)
class JudgeLimits:
    """Assumptions as numbers.

    Attributes:
        floor: Least θ, shape (judges, levels, labels).
        ceiling: Greatest θ, same shape.
        rows: Shape (constraints, levels, labels); for every judge rows · θ ≤ 0.
    """

    floor: NDArray[np.float64]
    ceiling: NDArray[np.float64]
    rows: NDArray[np.float64]


def judge_limits(
    assumptions: JudgeAssumptions, *, judges: Sequence[Label], n_levels: int, n_labels: int
) -> JudgeLimits:
    """The constraints that assumptions put on the matrices of judges.

    Raises:
        DataError: A diagonal where levels and labels differ in number, a known matrix that is none or that breaks the
            other assumptions, or an unknown judge.
    """
    if n_levels != n_labels and (assumptions.diagonal != "none" or assumptions.accuracy > 0):
        raise DataError(
            f"JudgeAssumptions: diagonal= and accuracy= compare labels with true levels, and there are {n_labels} "
            f'labels and {n_levels} levels; use order="stochastic", or values= of {n_labels} levels'
        )
    floor = np.zeros((len(judges), n_levels, n_labels))
    ceiling = np.ones_like(floor)
    if n_levels == n_labels:
        floor[:, range(n_levels), range(n_levels)] = assumptions.accuracy
    rows = np.concatenate(
        [_order_rows(assumptions.order, n_levels, n_labels), _diagonal_rows(assumptions.diagonal, n_levels, n_labels)]
    )
    for place, matrix in _known(assumptions.known, judges, (n_levels, n_labels)).items():
        if (matrix < floor[place] - 1e-9).any() or (np.einsum("rmk,mk->r", rows, matrix) > 1e-9).any():
            raise DataError(
                f"JudgeAssumptions: the known matrix of {judges[place]!r} breaks the other assumptions "
                f"({assumptions.describe()}); take one of them out"
            )
        floor[place] = ceiling[place] = matrix
    return JudgeLimits(floor, ceiling, rows)


def _order_rows(order: Order, n_levels: int, n_labels: int) -> NDArray[np.float64]:
    """One row for each step of the truth and each cumulative probability that must not rise over it."""
    widths = {"none": 0, "lowest": 1, "stochastic": n_labels - 1}[order]
    rows = np.zeros((n_levels - 1, widths, n_levels, n_labels))
    for level in range(n_levels - 1):
        for width in range(widths):
            rows[level, width, level + 1, : width + 1] = 1
            rows[level, width, level, : width + 1] = -1
    return rows.reshape(-1, n_levels, n_labels)


def _diagonal_rows(diagonal: Diagonal, n_levels: int, n_labels: int) -> NDArray[np.float64]:
    rows = np.zeros((n_levels, n_levels, n_levels, n_labels))
    for level in range(n_levels if diagonal != "none" else 0):
        for other in range(n_levels):
            rival = (level, other) if diagonal == "likeliest" else (other, level)
            rows[(level, other, *rival)] += 1
            rows[level, other, level, level] -= 1
    rows = rows.reshape(-1, n_levels, n_labels)
    return rows[np.abs(rows).any(axis=(1, 2))]


def _known(
    known: ArrayLike | Mapping[Any, ArrayLike] | None, judges: Sequence[Label], shape: tuple[int, int]
) -> dict[int, NDArray[np.float64]]:
    """Place of each judge whose matrix is given -> the matrix."""
    if known is None:
        return {}
    given: Mapping[Any, ArrayLike] = known if isinstance(known, Mapping) else dict.fromkeys(judges, known)
    found: dict[int, NDArray[np.float64]] = {}
    for judge, each in given.items():
        if judge not in judges:
            raise DataError(f"JudgeAssumptions: known= names judge {judge!r}; {nearest(judge, judges)}")
        matrix = np.asarray(each, dtype=np.float64)
        if matrix.shape != shape or not np.allclose(matrix.sum(axis=1), 1, atol=1e-6) or not (matrix >= 0).all():
            raise DataError(
                f"JudgeAssumptions: the known matrix of {judge!r} has shape {matrix.shape}; it takes {shape}, a row of "
                "probabilities that sum to one for every true level"
            )
        found[judges.index(judge)] = matrix / matrix.sum(axis=1, keepdims=True)
    return found
