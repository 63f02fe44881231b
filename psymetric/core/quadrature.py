"""Grids over a standard normal latent variable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["normal_grid"]


def normal_grid(n_nodes: int, half_width: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Equally spaced nodes on [-half_width, half_width] and log weights of the standard normal, normalised.

    The rectangle rule on a grid is spectrally accurate for smooth, quickly decaying integrands: with spacing h and a
    posterior of standard deviation s the relative error is about exp(-2π²(s/h)²), 3e-9 at h = s. Unlike Gauss-Hermite
    nodes it can be refined by looking at h / s alone.

    Returns:
        Nodes in standard deviations, shape (n_nodes,), and log weights of the same shape.
    """
    nodes = np.linspace(-half_width, half_width, n_nodes)
    log_weight = -0.5 * nodes**2
    return nodes, log_weight - np.logaddexp.reduce(log_weight)
