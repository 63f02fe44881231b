"""Posterior distributions of abilities, item and judge parameters known, on nodes that follow each subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

from psymetric.scoring.abilities import posterior_mode
from psymetric.scoring.alignment import AlignedRows
from psymetric.scoring.likelihood import log_likelihoods

__all__ = ["LogLikelihood", "Posterior", "subject_posterior"]

Array = NDArray[np.float64]
LogLikelihood = Callable[[AlignedRows, Array], Array]
"""From rows and abilities, shape (S, M), to each subject's log-likelihood there."""

_REACH, _NODES = 8.0, 33
"""Nodes per subject, over ± this many posterior sds: spacing half a sd, moments exact to about 1e-7 sd."""
_DENSE = 281
"""Points of the distribution function: linear in between, which moves a quantile by less than .001 sd."""
_MAX_ROUNDS = 8
_BLOCK = 1 << 15


@final
@dataclass(frozen=True)
class Posterior:
    """Posterior densities of S subjects at M nodes of their own.

    Attributes:
        theta: Nodes in logits, shape (S, M), equally spaced within a subject.
        weight: Posterior probabilities of the nodes, shape (S, M), rows summing to one.
    """

    theta: Array
    weight: Array

    @property
    def mean(self) -> Array:
        """Expected a posteriori, shape (S,)."""
        return np.sum(self.weight * self.theta, axis=1)

    @property
    def sd(self) -> Array:
        """Posterior standard deviation, shape (S,)."""
        return np.sqrt(np.sum(self.weight * (self.theta - self.mean[:, None]) ** 2, axis=1))

    def quantile(self, probability: Array) -> Array:
        """Quantiles of each subject's posterior.

        Args:
            probability: Shape (S, D), in (0, 1).

        Returns:
            Logits, shape (S, D).
        """
        found = np.empty_like(probability)
        for start in range(0, len(found), _BLOCK):
            block = slice(start, start + _BLOCK)
            found[block] = _quantile(self.theta[block], self.weight[block], probability[block])
        return found


def _quantile(theta: Array, weight: Array, probability: Array) -> Array:
    """Invert a piecewise linear distribution function of a density interpolated in its logarithm."""
    place = np.linspace(0.0, 1.0, theta.shape[1])
    dense = np.linspace(0.0, 1.0, _DENSE)
    with np.errstate(divide="ignore"):
        log_density = np.maximum(np.log(weight), -700.0)
    density = np.exp(CubicSpline(place, log_density, axis=1)(dense))
    steps = (density[:, 1:] + density[:, :-1]) / 2
    cumulated = np.cumsum(steps, axis=1) / steps.sum(axis=1, keepdims=True)
    # One sorted array for all subjects: subject s occupies [s, s + 1].
    owner = np.arange(len(theta))[:, None]
    flat = np.searchsorted((cumulated + owner).ravel(), probability + owner)
    cell = np.clip(flat - owner * steps.shape[1], 0, steps.shape[1] - 1)
    upper = np.take_along_axis(cumulated, cell, axis=1)
    mass = np.take_along_axis(steps / steps.sum(axis=1, keepdims=True), cell, axis=1)
    within = 1 - (upper - probability) / np.maximum(mass, 1e-300)
    fraction = (cell + np.clip(within, 0.0, 1.0)) / steps.shape[1]
    return theta[:, :1] + fraction * (theta[:, -1:] - theta[:, :1])


def subject_posterior(
    rows: AlignedRows, mean: float | Array, sd: float | Array, *, log_likelihood: LogLikelihood = log_likelihoods
) -> Posterior:
    """Posterior of every subject under its normal population.

    Nodes are centred on the mode and then on the posterior mean, and rescaled until they span the posterior, so that a
    subject with ten thousand responses is resolved as well as one with three.

    Args:
        rows: The responses.
        mean: Of the population, or of each subject's, shape (S,), logits.
        sd: Of the same shape.
        log_likelihood: From rows and abilities, shape (S, M), to each subject's log-likelihood there.
    """
    mean, sd = (np.broadcast_to(np.asarray(value, np.float64), len(rows.subjects)) for value in (mean, sd))
    # A rough place to centre the nodes; they are moved to the posterior mean where it matters.
    mode = posterior_mode(rows, mean, sd, tolerance=sd / 100)
    centre, scale = mode.estimate, mode.se
    found = _on_nodes(rows, mean, sd, centre, scale, log_likelihood)
    for _ in range(_MAX_ROUNDS):
        shift, ratio = np.abs(found.mean - centre) / scale, found.sd / scale
        if shift.max() < 0.3 and ratio.max() < 1.1 and ratio.min() > 0.7:
            break
        centre, scale = found.mean, found.sd
        found = _on_nodes(rows, mean, sd, centre, scale, log_likelihood)
    return found


def _on_nodes(
    rows: AlignedRows, mean: Array, sd: Array, centre: Array, scale: Array, log_likelihood: LogLikelihood
) -> Posterior:
    theta = centre[:, None] + scale[:, None] * np.linspace(-_REACH, _REACH, _NODES)
    log_joint = log_likelihood(rows, theta) - 0.5 * ((theta - mean[:, None]) / sd[:, None]) ** 2
    return Posterior(theta, np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True)))
