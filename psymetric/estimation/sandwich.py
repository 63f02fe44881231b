"""Covariance of a gradient from its clusters: the middle of the sandwich."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.parameters import ParameterSpace
from psymetric.errors import DataError, DesignError
from psymetric.estimation.casewise import constraint_jacobian
from psymetric.estimation.curvature import Information
from psymetric.estimation.fit import Fit
from psymetric.models.base import Table

__all__ = ["TakenApart", "check_definite", "gradient_covariance"]

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

_CHUNK = 4_000_000
"""Numbers in memory at a time: clusters × parameters."""
_ROUNDING = 1e-10
"""A negative eigenvalue this small relative to the largest is zero but for rounding."""


@final
@dataclass(frozen=True)
class TakenApart:
    """A fit taken apart again.

    Attributes:
        table: The rows behind the estimates. space: Without the subjects' parameters. free: Its free vector. active:
            Positions of those that were estimated. curvature: Negative Hessian at the mode over them.
        scores: Rows' gradients in the constrained values, weights left out. ability: In the row's own ability, or None.
        subjects: Subjects' gradients in the active parameters, in place of the rows' where populations differ, or None.
    """

    table: Table
    space: ParameterSpace
    free: Matrix
    active: Index
    curvature: Information
    scores: csr_array
    ability: Matrix | None
    subjects: Matrix | None = None


def gradient_covariance(fit: Fit, mode: TakenApart, cluster: str | None) -> tuple[Matrix, dict[str, int], bool]:
    """Covariance of the gradient, the number of clusters by name, and whether it is two-way."""
    codes, weight = mode.table.codes, mode.table.weight
    if "subject" not in codes and cluster is None:
        rows = np.arange(len(weight))
        unit = "ranking" if fit.model.table_kind == "rankings" else "comparison"
        return _one_way(mode, rows, np.sqrt(weight), float(weight.sum())), {unit: int(weight.sum())}, False
    name = cluster or "subject"
    owner = codes[name].astype(np.int64)
    n_clusters = len(np.unique(owner[weight > 0]))
    if n_clusters < 2:
        raise DataError(f"robust_errors(cluster={name!r}): {n_clusters} cluster shows no spread between clusters")
    if mode.subjects is not None:
        return _of_subjects(mode, mode.subjects, owner, name), {name: n_clusters}, False
    first = _one_way(mode, owner, weight, n_clusters)
    if mode.ability is not None or "subject" not in codes or name == "subject":
        return first, {name: n_clusters}, False
    subject = codes["subject"].astype(np.int64)
    both = np.unique(subject * len(mode.table.levels[name]) + owner, return_inverse=True)[1].reshape(-1)
    n_subjects, n_both = (len(np.unique(of[weight > 0])) for of in (subject, both))
    if n_both == n_subjects:
        return first, {name: n_clusters}, False
    if name in fit.model.facets:
        raise DesignError(
            f"robust_errors(cluster={name!r}): subjects are integrated out and meet several levels of {name!r}, each "
            "of which has a location of its own, at whose maximum its gradients sum to zero: such clusters say nothing "
            f'about locations. Use cluster="subject", or bootstrap(resample={name!r})'
        )
    second, shared = _one_way(mode, subject, weight, n_subjects), _one_way(mode, both, weight, n_both)
    return first + second - shared, {name: n_clusters, "subject": n_subjects}, True


def _one_way(mode: TakenApart, owner: Index, weight: Matrix, n_clusters: float) -> Matrix:
    """Sum over clusters of the outer products of their gradients, with the small-sample factor."""
    jacobian = constraint_jacobian(mode.space, mode.free)[:, mode.active]
    n_rows, n_owners = len(owner), int(owner.max()) + 1
    by_owner = csr_array((weight, (owner, np.arange(n_rows))), shape=(n_owners, n_rows))
    scores, total = by_owner @ mode.scores, np.zeros((jacobian.shape[1], jacobian.shape[1]))
    own = None
    if mode.ability is not None:
        places = (np.arange(n_rows), mode.table.codes["subject"])
        own = by_owner @ csr_array((mode.ability, places), shape=(n_rows, len(mode.curvature.diagonal)))
    reach = (mode.curvature.border / mode.curvature.diagonal).T if own is not None else None
    size = max(_CHUNK // max(jacobian.shape[1], 1), 1)
    for start in range(0, n_owners, size):
        gradient = scores[start : start + size] @ jacobian
        if own is not None and reach is not None:
            gradient = gradient - own[start : start + size] @ reach
        total += gradient.T @ gradient
    return total * n_clusters / (n_clusters - 1)


def _of_subjects(mode: TakenApart, subjects: Matrix, owner: Index, name: str) -> Matrix:
    """As `_one_way`, from the gradients of whole subjects.

    Raises:
        DesignError: A cluster that holds a part of a subject.
    """
    used = mode.table.weight > 0
    subject, owner = mode.table.codes["subject"][used], owner[used]
    whole = np.zeros(len(subjects), np.int64)
    whole[subject] = owner
    if crossing := len(np.unique(subject[whole[subject] != owner])):
        raise DesignError(
            f"robust_errors(cluster={name!r}): {crossing} of {len(subjects)} subjects have responses in several "
            "clusters, and with several populations a subject's gradient has parts that belong to none of its "
            f'responses. Use cluster="subject", or bootstrap(resample={name!r})'
        )
    n_clusters = len(np.unique(owner))
    gradient = np.zeros((int(owner.max()) + 1, subjects.shape[1]))
    np.add.at(gradient, whole, subjects)
    return gradient.T @ gradient * n_clusters / (n_clusters - 1)


def check_definite(covariance: Matrix, sizes: dict[str, int]) -> None:
    """Refuse a two-way covariance that is none.

    Raises:
        DataError: A negative eigenvalue beyond rounding.
    """
    values = np.linalg.eigvalsh(covariance)
    if values[0] < -_ROUNDING * values[-1]:
        name, n_clusters = next(iter(sizes.items()))
        raise DataError(
            f"robust_errors(cluster={name!r}): {n_clusters} clusters that cross subjects are too few for "
            f"{len(values)} parameters on this many responses per subject (by cluster plus by subject less by both is "
            "no covariance): use "
            f'cluster="subject", or bootstrap(resample={name!r})'
        )
