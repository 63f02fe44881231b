"""Posterior covariances of complete-data gradients where every subject met the same cells.

A subject's gradient on the nodes is then a part that all share, plus for every response a multiple of a few functions
of the node: 1 and θ for models whose log-odds are linear in θ. Summed over subjects, posterior covariances are matrix
products of the responses weighted with posterior moments of those functions; no subject's gradient is ever spread over
the nodes, which makes them thirty times cheaper.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from psymetric.core.complete_sum import CompleteSum

__all__ = ["complete_covariances"]

Matrix = NDArray[np.float64]

_MOST_FUNCTIONS = 4
_ZERO = 1e-11
"""Share of the largest singular value that is rounding."""
_CHUNK = 200_000
"""Numbers in memory at a time."""


def complete_covariances(
    responses: CompleteSum, position: NDArray[np.int64], slopes: Matrix, posterior: Matrix, multiplicity: Matrix
) -> tuple[NDArray[np.int64], Matrix] | None:
    """Sum over subjects of the posterior covariance of their gradient, or None where the slopes have no simple form.

    Args:
        responses: The design.
        position: Parameter that each direction of each cell moves, shape (directions, cells).
        slopes: Derivatives of the table by direction, shape (cells × categories, directions, nodes).
        posterior: Shape (subjects, nodes).
        multiplicity: Subjects that each stands for, shape (subjects,).

    Returns:
        The parameters, and their matrix, shape (parameters, parameters).
    """
    n_cells, n_nodes = position.shape[1], posterior.shape[1]
    by_category = slopes.reshape(n_cells, responses.group, len(position), n_nodes)
    first = by_category[:, 0]
    functions = _functions((by_category[:, 1:] - first[:, None]).reshape(-1, n_nodes))
    if functions is None:
        return None
    places, place = np.unique(position, return_inverse=True)
    place = place.reshape(position.shape)
    shared = np.zeros((len(places), n_nodes))
    np.add.at(shared, place, (np.asarray(responses.totals)[:, None, None] * first).transpose(1, 0, 2))
    loads = np.zeros((len(functions), n_cells, responses.group - 1, len(places)))
    coefficients = np.einsum("ckdq,lq->ldck", by_category[:, 1:] - first[:, None], functions, optimize=True)
    for direction, load in enumerate(coefficients.transpose(1, 0, 2, 3)):
        loads[:, np.arange(n_cells), :, place[direction]] += load.transpose(1, 0, 2)
    loads = loads.reshape(len(functions), -1, len(places))
    return places, _sum_of_covariances(np.asarray(responses.chosen), functions, shared, loads, posterior, multiplicity)


def _functions(differences: Matrix) -> Matrix | None:
    """Orthonormal functions of the node that span the rows of `differences`; None where many are needed."""
    if not np.isfinite(differences).all():  # where a search has run away
        return None
    _, size, basis = np.linalg.svd(differences, full_matrices=False)
    rank = int(np.count_nonzero(size > _ZERO * size[0]))
    return basis[:rank] if rank <= _MOST_FUNCTIONS else None


def _sum_of_covariances(
    chosen: Matrix, functions: Matrix, shared: Matrix, loads: Matrix, posterior: Matrix, multiplicity: Matrix
) -> Matrix:
    """Σ E[g gᵀ] − E[g] E[g]ᵀ for g = `shared` + Σ_l f_l(θ) · `chosen` @ `loads`[l].

    Args:
        chosen: Shape (subjects, R).
        functions: Shape (L, nodes).
        shared: Shape (P, nodes).
        loads: Shape (L, R, P).
        posterior: Shape (subjects, nodes).
        multiplicity: Shape (subjects,).
    """
    n_subjects, n_chosen = chosen.shape
    n_functions, n_places = len(functions), len(shared)
    pairs = [(one, other) for one in range(n_functions) for other in range(one + 1)]
    mass = multiplicity @ posterior
    cross, gram = np.zeros((len(mass), n_chosen)), np.zeros((len(pairs), n_chosen, n_chosen))
    total = (shared * mass) @ shared.T
    size = max(1, _CHUNK // max(n_chosen, n_places, len(mass)))
    for start in range(0, n_subjects, size):
        rows = slice(start, start + size)
        part, own, weight = chosen[rows], posterior[rows], multiplicity[rows, None]
        moments = own @ functions.T
        mean = own @ shared.T
        for load, moment in zip(loads, moments.T, strict=True):
            mean += (moment[:, None] * part) @ load
        total -= mean.T @ (weight * mean)
        weighted = weight * own
        cross += weighted.T @ part
        for place, (one, other) in enumerate(pairs):
            gram[place] += part.T @ ((weighted @ (functions[one] * functions[other]))[:, None] * part)
    for load, function in zip(loads, functions, strict=True):
        mixed = (shared * function) @ cross @ load
        total += mixed + mixed.T
    for (one, other), product in zip(pairs, gram, strict=True):
        mixed = loads[one].T @ product @ loads[other]
        total += mixed if one == other else mixed + mixed.T
    return total
