"""What the parameters of a fit might also have been: draws of all arrays together, and how they vary to first order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.models.space import POPULATION_SD

__all__ = ["moved_estimates", "parameter_draws", "parameter_factors"]

Array = NDArray[np.float64]


def parameter_draws(fit: Fit, names: tuple[str, ...], *, n: int, seed: int, who: str) -> dict[str, Array]:
    """Joint draws of some arrays, shape (n, ...) each.

    Draws of the fit where it holds any, in random order, over and over where there are fewer. Else normal draws with
    the fit's joint covariance on the scale without bounds that its intervals use: the log of what is positive, the
    logit of a probability, the log distance of rising thresholds. The second half of these mirrors the first, so that
    their mean is the estimate itself but for the bounds.

    Args:
        fit: The fit.
        names: Arrays to draw; not the subjects'.
        n: Number of draws, even.
        seed: Of the draws.
        who: The public function, for messages.

    Raises:
        DataError: The fit keeps neither draws nor the joint covariance of these arrays.
    """
    rng = np.random.default_rng(seed)
    if fit.draws is not None:
        places = _places(fit, n, rng)
        return {name: _flat(fit, name)[places] for name in names}
    factors = parameter_factors(fit, names, n=n, seed=seed, who=who)
    rank = next(iter(factors.values())).shape[-1]
    half = rng.standard_normal((n // 2, rank))
    noise = np.concatenate([half, -half])
    return {
        name: moved_estimates(fit, name, np.tensordot(noise, factor, axes=(1, factor.ndim - 1)))
        for name, factor in factors.items()
    }


def parameter_factors(fit: Fit, names: tuple[str, ...], *, n: int, seed: int, who: str) -> dict[str, Array]:
    """Factors of the joint covariance as in `Fit.factors`, of `n` draws where the fit holds draws.

    Args: As in `parameter_draws`.

    Raises:
        DataError: As in `parameter_draws`.
    """
    if fit.draws is not None:
        places = _places(fit, n, np.random.default_rng(seed))
        found = {name: _flat(fit, name)[places] for name in names}
        return {name: np.moveaxis(value - value.mean(axis=0), 0, -1) / np.sqrt(n - 1) for name, value in found.items()}
    if lacking := [name for name in names if name not in fit.factors]:
        raise DataError(
            f"{who}: this fit keeps no joint uncertainty of {lacking[0]!r}: it has over 2,000 free parameters, did not "
            "converge, has robust errors by that facet, or was saved before fits kept it. Fit again, with Laplace() or "
            'NUTS() where there are so many parameters, or use parameters="known"'
        )
    return {name: fit.factors[name] for name in names}


def _flat(fit: Fit, name: str) -> Array:
    stored = (fit.draws or {})[name]
    return stored.reshape(-1, *stored.shape[2:])


def _places(fit: Fit, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    n_draws = len(_flat(fit, next(iter(fit.draws or {}))))
    # Evenly over the chains, whose neighbouring draws are alike.
    even = np.linspace(0, n_draws - 1, n).astype(np.int64) if n <= n_draws else np.arange(n) % n_draws
    return rng.permutation(even)


def moved_estimates(fit: Fit, name: str, step: Array) -> Array:
    """The estimates moved by `step`, shape (n, ...), along the scale without bounds that intervals use."""
    value = np.asarray(fit.parameters[name], np.float64)
    support = next((spec.support for spec in fit.model.parameters if spec.name == name), "real")
    if name == POPULATION_SD or support == "positive":
        return value * np.exp(step / value)
    if support == "unit":
        return expit(logit(value) + step / (value * (1 - value)))
    if support == "simplex":
        moved = value * np.exp(np.divide(step, value, out=np.zeros_like(step), where=value > 0))
        return moved / moved.sum(axis=-1, keepdims=True)
    if support == "ordered":
        gaps = np.diff(value, axis=-1)
        wider = gaps * np.exp(np.diff(step, axis=-1) / gaps)
        rising = np.concatenate([np.zeros((*wider.shape[:-1], 1)), np.cumsum(wider, axis=-1)], axis=-1)
        return rising - rising.mean(axis=-1, keepdims=True)
    return value + step
