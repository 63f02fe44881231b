"""Covariance of estimates whose rows come in groups that are not independent within."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["clustered_covariance", "group_sums"]

Matrix = NDArray[np.float64]


def group_sums(values: Matrix, group: NDArray[np.int32]) -> Matrix:
    """Sum of the rows of each group, shape (groups, columns)."""
    rows = np.arange(len(group))
    picked = csr_array((np.ones(len(group)), (group, rows)), shape=(int(group.max()) + 1, len(group)))
    return np.asarray(picked @ values)


def clustered_covariance(inverse: Matrix, scores: Matrix, group: NDArray[np.int32], prior: Matrix) -> Matrix:
    r"""Sandwich covariance of a penalised estimate, rows clustered by group.

    $$V = H^{-1}\left(\tfrac{G}{G-1}\sum_g s_g s_g^\top + P\right) H^{-1}$$

    The groups' sums of scores vary as the groups drawn do, to first order what a bootstrap over groups shows; the
    prior's curvature counts as the information it stands for, so that without clustering V is near the inverse of H.

    Args:
        inverse: Inverse of the penalised information H, shape (free, free).
        scores: Gradient of each row's log-likelihood, shape (rows, free).
        group: Codes 0…G−1, shape (rows,).
        prior: Curvature P of the prior, shape (free, free).

    Source: Liang & Zeger (1986), eq. 2.6, with the small-sample factor in use.
    """
    sums = group_sums(scores, group)
    n_groups = len(np.unique(group))
    return inverse @ (sums.T @ sums * (n_groups / max(n_groups - 1, 1)) + prior) @ inverse
