"""A model with discriminations, written for tests only, and fits of it with chosen parameters: nothing is estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec


@final
@dataclass(frozen=True)
class Sloped(AbstractMeasurementModel):
    """Generalised partial credit: log P(k) / P(k - 1) = a (theta - b - step)."""

    @property
    def table_kind(self) -> Literal["responses", "pairs"]:
        return "responses"

    @property
    def facets(self) -> tuple[str, ...]:
        return ("item",)

    @property
    def parameters(self) -> tuple[ParamSpec, ...]:
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            ParamSpec("item", ("item",)),
            ParamSpec("discrimination", ("item",), support="positive"),
            ParamSpec("step", ("item", "step"), identification="sum_to_zero"),
        )

    def category_log_probs(self, params: Mapping[str, jax.Array], codes: Mapping[str, jax.Array], n_categories: int):
        item = codes["item"]
        location = params[ABILITY][codes["subject"]] - params["item"][item]
        slope = params["discrimination"][item]
        logits = jnp.cumsum(slope[:, None] * (location[:, None] - params["step"][item]), axis=1)
        return jax.nn.log_softmax(jnp.pad(logits, ((0, 0), (1, 0))), axis=1)


def sloped_fit(
    difficulty: Mapping[str, float],
    discrimination: np.ndarray,
    steps: np.ndarray | None = None,
    *,
    mean: float = 0.0,
    sd: float = 1.0,
    variance: float = 0.0,
) -> Fit:
    """A fit with these parameters; `variance` fills the diagonals of the covariances of items and discriminations."""
    items = tuple(difficulty)
    steps = np.zeros((len(items), 1)) if steps is None else steps
    values = {
        "item": np.array(list(difficulty.values()), float),
        "discrimination": np.asarray(discrimination, float),
        "step": np.asarray(steps, float),
        "population_mean": np.array(mean),
        "population_sd": np.array(sd),
    }
    return Fit(
        model=Sloped(),
        engine="MarginalML",
        status=FitStatus(True, "chosen", 0),
        log_likelihood=None,
        n_parameters=0,
        n_responses=0.0,
        parameters=values,
        standard_errors={name: np.full(value.shape, np.sqrt(variance)) for name, value in values.items()},
        covariances={name: variance * np.eye(len(items)) for name in ("item", "discrimination")},
        draws=None,
        levels={"item": items, "subject": ("nobody",)},
        categories=tuple(range(steps.shape[1] + 1)),
        counts={},
        extremes={},
        penalised=False,
        notes=(),
        provenance=Provenance("chosen"),
    )


def answers(patterns: Mapping[str, Mapping[str, int]], n_categories: int) -> ps.ResponseTable:
    """A table of {subject: {item: category}}."""
    rows = [(subject, item, category) for subject, given in patterns.items() for item, category in given.items()]
    frame = pd.DataFrame(rows, columns=["subject", "item", "x"])
    return ps.ResponseTable.from_frame(
        frame, response="x", subject="subject", item="item", categories=range(n_categories)
    )


def probabilities_of(fit: Fit, item: str, theta: float) -> np.ndarray:
    """Category probabilities of one item by the definition, without logarithms, shape (K,)."""
    place = fit.levels["item"].index(item)
    difficulty, slope = (float(fit.parameters[name][place]) for name in ("item", "discrimination"))
    ratio = [1.0]
    for step in fit.parameters["step"][place]:
        ratio.append(ratio[-1] * np.exp(slope * (theta - difficulty - step)))
    return np.array(ratio) / np.sum(ratio)
