"""Who meets whom: complete rounds and sparse regular graphs of items, the side of each, and how well they link.

Arrays only. A design is a multigraph of items, an edge for every comparison. At equal worths each comparison carries
the same information, and the information about all worths is the graph's Laplacian times that.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["meetings", "regular_graph", "rounds", "sides", "spectrum", "worth_covariance"]

Matrix = NDArray[np.float64]
Edges = NDArray[np.int64]

_CANDIDATES: Final = 8
_SWITCHES: Final = 10
"""Attempted switches per edge, after which a chain of switches has forgotten where it began."""


def rounds(n_items: int, rng: np.random.Generator) -> Edges:
    """Every pair once, in rounds in which every item meets one other (all but one, where items are odd in number).

    The circle method of tournaments over shuffled items, its rounds in random order: any beginning holds the items
    equally often, to within one.

    Returns:
        Shape (pairs, 2).
    """
    circle = n_items - 1 + n_items % 2
    step = np.arange(1, (circle + 1) // 2)
    each: list[Edges] = []
    for turn in rng.permutation(circle):
        met = np.stack([(turn + step) % circle, (turn - step) % circle], axis=1)
        if n_items % 2 == 0:
            met = np.concatenate([met, [[turn, circle]]])
        each.append(rng.permutation(met))
    return rng.permutation(n_items)[np.concatenate(each)].astype(np.int64)


def regular_graph(n_items: int, degree: int, rng: np.random.Generator) -> Edges:
    """A connected graph without repeated pairs in which every item meets `degree` others.

    Of a ring lattice and several random graphs (the lattice after many switches of two edges, which keep every degree)
    the one with the smallest mean variance of a difference.

    Args:
        n_items: Items, more than `degree`.
        degree: 2 or more (1 for two items); even where the items are odd in number.
        rng: Randomness.

    Returns:
        Shape (n_items * degree / 2, 2).
    """
    lattice = _lattice(n_items, degree)
    if degree == n_items - 1:
        return lattice
    candidates = [lattice, *(_switched(lattice, rng) for _ in range(_CANDIDATES))]
    best = min(candidates, key=lambda edges: _mean_variance(meetings(edges[:, 0], edges[:, 1], n_items)))
    return rng.permutation(n_items)[best].astype(np.int64)


def _lattice(n_items: int, degree: int) -> Edges:
    """Each item with its nearest neighbours on a ring, and its opposite where the degree is odd."""
    item = np.arange(n_items)
    edges = [np.stack([item, (item + step) % n_items], axis=1) for step in range(1, degree // 2 + 1)]
    if degree % 2:
        half = item[: n_items // 2]
        edges.append(np.stack([half, half + n_items // 2], axis=1))
    return np.concatenate(edges).astype(np.int64)


def _switched(edges: Edges, rng: np.random.Generator) -> Edges:
    """The graph after random switches: edges ab and cd become ad and cb, unless one of these is there already."""
    pairs = [(int(a), int(b)) for a, b in edges]
    present = {frozenset(pair) for pair in pairs}
    tries = _SWITCHES * len(pairs)
    chosen = rng.integers(len(pairs), size=(tries, 2)).tolist()
    turned = (rng.random(tries) < 0.5).tolist()
    for (first, second), turn in zip(chosen, turned, strict=True):
        (a, b), (c, d) = pairs[first], pairs[second][::-1] if turn else pairs[second]
        new = frozenset((a, d)), frozenset((c, b))
        if first == second or len(new[0]) < 2 or len(new[1]) < 2 or new[0] == new[1] or present & set(new):
            continue
        present -= {frozenset((a, b)), frozenset((c, d))}
        present |= set(new)
        pairs[first], pairs[second] = (a, d), (c, b)
    return np.array(pairs, dtype=np.int64)


def sides(edges: Edges, n_items: int, rng: np.random.Generator) -> Edges:
    """The edges with their ends in an order that has every item first as often as second, to within one.

    Along a closed walk over all edges each item is left as often as it is entered; items of odd degree, which have no
    such walk, are joined to one further node (Euler's circuits).
    """
    odd = np.flatnonzero(np.bincount(edges.ravel(), minlength=n_items) % 2)
    every = np.concatenate([edges, np.stack([odd, np.full(len(odd), n_items)], axis=1)])
    leaving: list[list[int]] = [[] for _ in range(n_items + 1)]
    for edge in rng.permutation(len(every)).tolist():
        for end in every[edge].tolist():
            leaving[end].append(edge)
    ends, start = every.tolist(), np.full(len(every), -1)
    for item in rng.permutation(n_items + 1).tolist():
        here = item
        # Every node has even degree, so that a walk ends only where it began.
        while leaving[here]:
            edge = leaving[here].pop()
            if start[edge] < 0:
                start[edge] = here
                here = ends[edge][1] if ends[edge][0] == here else ends[edge][0]
    is_turned = start[: len(edges)] != edges[:, 0]
    return np.where(is_turned[:, None], edges[:, ::-1], edges)


def meetings(left: NDArray[np.int64], right: NDArray[np.int64], n_items: int) -> Matrix:
    """How often each two items meet, shape (items, items), symmetric."""
    counts = np.bincount(left * n_items + right, minlength=n_items**2).reshape(n_items, n_items)
    return (counts + counts.T).astype(np.float64)


def worth_covariance(met: Matrix, information: float) -> Matrix:
    """Covariance of centred worths, shape (items, items): the pseudo-inverse of information times the Laplacian.

    Args:
        met: Meetings of a connected design.
        information: Of one comparison about a difference, in logits⁻².
    """
    laplacian = np.diag(met.sum(axis=1)) - met
    level = np.full_like(met, 1 / len(met))
    inverse = np.asarray(np.linalg.inv(laplacian + level), np.float64)
    return (inverse - level) / information


def spectrum(met: Matrix) -> Matrix:
    """Eigenvalues of the Laplacian from small to large without the first, which is zero; shape (items - 1,).

    The smallest of them is the algebraic connectivity, above zero where the graph is connected (Fiedler, 1973). Worths
    centred within a design have 1/eigenvalue as the variances of their principal axes.
    """
    return np.asarray(np.linalg.eigvalsh(np.diag(met.sum(axis=1)) - met)[1:], np.float64)


def _mean_variance(met: Matrix) -> float:
    """Mean variance of a difference of two worths at unit information, infinite for a design that is not connected."""
    values = spectrum(met)
    return float(2 * np.mean(1 / values)) if values[0] > 1e-9 * values[-1] else np.inf
