"""Fits with given parameters, as if an engine had found them: what follows from them has closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.estimation.fit import FitStatus
from psymetric.models.base import AbstractMeasurementModel


def given_fit(
    model: AbstractMeasurementModel,
    levels: dict[str, tuple[Any, ...]],
    categories: tuple[Any, ...],
    *,
    mean: float = 0.0,
    sd: float = 1.0,
    source: str = "",
    **parameters: Any,
) -> ps.Fit:
    """A fit whose estimates are `parameters`; a "__" in a name is the ":" of an interaction."""
    values = {name.replace("__", ":"): np.asarray(value, float) for name, value in parameters.items()}
    values |= {"population_mean": np.array(mean), "population_sd": np.array(sd)}
    return ps.Fit(
        model=model,
        engine="MarginalML",
        status=FitStatus(True, "given", 0),
        log_likelihood=None,
        n_parameters=0,
        n_responses=0.0,
        parameters=values,
        standard_errors={name: np.full_like(value, 0.1) for name, value in values.items()},
        covariances={},
        draws=None,
        levels=levels,
        categories=categories,
        counts={},
        extremes={},
        penalised=False,
        notes=(),
        provenance=Provenance(source),
    )


def drawn_table(fit: ps.Fit, theta: np.ndarray, *, seed: int, share: float = 1.0) -> ps.ResponseTable:
    """Responses of subjects at `theta` to every combination of facets, drawn from the model; a `share` is kept."""
    facets = fit.model.facets
    labels = [range(len(theta)), *(range(len(fit.levels[facet])) for facet in facets)]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*labels, indexing="ij")])
    grid = grid[:, np.random.default_rng(seed).random(grid.shape[1]) < share]
    codes = {name: code.astype(np.int32) for name, code in zip(("subject", *facets), grid, strict=True)}
    drawn = fit.model.simulate({**fit.parameters, "ability": theta}, codes, len(fit.categories), seed=seed)
    frame = pd.DataFrame({facet: [fit.levels[facet][code] for code in codes[facet]] for facet in facets})
    frame["subject"] = [f"s{code}" for code in codes["subject"]]
    frame["response"] = [fit.categories[code] for code in drawn]
    item = "item" if "item" in facets else None
    return ps.ResponseTable.from_frame(
        frame,
        response="response",
        subject="subject",
        item=item,
        facets=tuple(facet for facet in facets if facet != "item"),
        categories=fit.categories,
    )
