"""A fit as ArviZ's container: `InferenceData` up to ArviZ 0.23, `DataTree` from 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from psymetric.estimation.fit import Fit

__all__ = ["named_draws", "to_arviz"]


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
    import arviz

    if hasattr(arviz, "InferenceData"):
        return arviz.from_dict(posterior=posterior, dims=dims, coords=coords)
    return arviz.from_dict({"posterior": posterior}, dims=dims, coords=coords)


def _coordinate(fit: Fit, axis: str) -> list[Any]:
    if axis == "all":
        return ["all"]
    if axis == "step":
        return list(range(1, len(fit.categories)))
    return list(fit.levels[axis])
