"""A fit as ArviZ's container: `InferenceData` up to ArviZ 0.23, `DataTree` from 1.0."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from psymetric.estimation.fit import Fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["drawn_by_arviz", "load_arviz", "named_draws", "pareto_smoothed", "to_arviz"]

_EQUAL = 1e-9
"""Log ratios that differ by less are equal: a tail of rounding errors has no shape."""


def load_arviz() -> Any:
    """ArviZ without the notice it gives at its first import of a day: that is news for its own users, not for ours.

    Where warnings are errors the notice would stop the fit.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*ArviZ is undergoing", FutureWarning)
        import arviz
    return arviz


def to_arviz(fit: Fit) -> Any:
    """The container behind `Fit.to_arviz`."""
    draws = fit.draws or {name: np.asarray(value)[None, None] for name, value in fit.parameters.items()}
    names = {name: name.replace(":", "_x_") for name in draws}
    axes = {spec.name: spec.axes for spec in fit.model.parameters}
    dims: dict[str, list[str]] = {}
    coords: dict[str, list[Any]] = {}
    for name in draws:
        wanted = axes.get(name, ())
        # A facet is also the name of its own parameter, so that its coordinate needs another.
        labels = [f"{axis}_level" for axis in (("all", "step") if wanted == ("step",) else wanted)]
        for axis, label in zip(("all", "step") if wanted == ("step",) else wanted, labels, strict=True):
            coords[label] = _coordinate(fit, axis)
        if labels:
            dims[names[name]] = labels
    posterior = {names[name]: value for name, value in draws.items()}
    return named_draws(posterior, dims=dims, coords=coords)


def named_draws(
    posterior: Mapping[str, Any],
    *,
    dims: Mapping[str, list[str]] | None = None,
    coords: Mapping[str, list[Any]] | None = None,
) -> Any:
    """Arrays of shape (chains, draws, ...) in whichever container this ArviZ has."""
    arviz = load_arviz()
    if "InferenceData" in vars(arviz):  # ArviZ 1 has a `__getattr__` that warns of the old name
        return arviz.from_dict(posterior=posterior, dims=dims, coords=coords)
    return arviz.from_dict({"posterior": posterior}, dims=dims, coords=coords)


def drawn_by_arviz(kind: Literal["trace", "ranks"], container: Any, names: list[str]) -> Figure:
    """One of ArviZ's figures of some variables, taken out of pyplot's keeping; labels are text, not formulas.

    ArviZ before 1.0 returns axes, later versions a collection that knows its figure.
    """
    from matplotlib import MatplotlibDeprecationWarning, pyplot, rc_context

    arviz = load_arviz()
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        # How ArviZ calls Matplotlib is not for our users to mend.
        warnings.simplefilter("ignore", MatplotlibDeprecationWarning)
        if "InferenceData" in vars(arviz):
            draw = {"trace": arviz.plot_trace, "ranks": arviz.plot_rank}[kind]
            with arviz.rc_context({"plot.max_subplots": None}):
                figure = np.ravel(draw(container, var_names=names, show=False))[0].get_figure()
        else:
            draw = {"trace": arviz.plot_trace_dist, "ranks": arviz.plot_rank}[kind]
            figure = draw(container, var_names=names, backend="matplotlib").viz["figure"].item()
    pyplot.close(figure)
    figure.set_layout_engine("constrained")
    return figure


def pareto_smoothed(log_ratios: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pareto-smoothed importance weights.

    Args:
        log_ratios: Log of target over proposal at every draw, up to a constant, shape (..., draws).

    Returns:
        Log weights that sum to one over the draws, shape (..., draws), and the tails' shapes k-hat, shape (...).
        Equal ratios have no tail, and a k-hat of zero.

    Source: Vehtari et al. (2024), JMLR 25(72), 1-58.
    """
    arviz = load_arviz()
    if "psislw" in vars(arviz):
        # It shifts the ratios in place.
        log_weights, k_hat = arviz.psislw(log_ratios.copy())
    else:
        from arviz_stats.base import array_stats  # pyright: ignore[reportMissingImports]

        # ArviZ 1 wants the log-likelihood that is left out, which is minus the log of the ratio.
        log_weights, k_hat = array_stats.psislw(-log_ratios)
    equal = np.ptp(log_ratios, axis=-1) < _EQUAL
    weights = np.where(equal[..., None], 0.0, log_weights)
    return weights - logsumexp(weights, axis=-1, keepdims=True), np.where(equal, 0.0, k_hat)


def _coordinate(fit: Fit, axis: str) -> list[Any]:
    if axis == "all":
        return ["all"]
    if axis == "step":
        return list(range(1, len(fit.categories)))
    return list(fit.levels[axis])
