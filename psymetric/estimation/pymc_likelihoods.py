"""The likelihoods of the models that PyMC can fit here, written a second time, in PyTensor and PyMC's distributions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psymetric.errors import DesignError
from psymetric.estimation.pymc_priors import load_pymc
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.four_pl import FourPL
from psymetric.models.generalized_partial_credit import GeneralizedPartialCredit
from psymetric.models.graded_response import GradedResponse
from psymetric.models.many_facet import ManyFacetRasch
from psymetric.models.nominal_response import NominalResponse
from psymetric.models.rasch import Rasch
from psymetric.models.space import step_groups
from psymetric.models.three_pl import ThreePL
from psymetric.models.two_pl import TwoPL

__all__ = ["response_log_probs", "supported_models"]

Tensors = Mapping[str, Any]

_OUT_OF_REACH = -1e4
"""Log odds of a category that a step group never used."""


@singledispatch
def response_log_probs(model: AbstractMeasurementModel, params: Tensors, table: Table) -> Any:
    """Log-probability of every response, a tensor of shape (responses,).

    Args:
        model: One of `supported_models`.
        params: Constrained tensors by name.
        table: Codes and responses.

    Raises:
        DesignError: No likelihood of this model is written here.
    """
    raise DesignError(
        f"PyMCNUTS has no likelihood of {type(model).__name__}: it is an independent second implementation, written "
        f"for {', '.join(supported_models())}. Use NUTS(), which fits every model"
    )


def supported_models() -> tuple[str, ...]:
    """Names of the models with a likelihood here."""
    return tuple(sorted(kind.__name__ for kind in response_log_probs.registry if kind is not object))


@response_log_probs.register
def _(model: ManyFacetRasch, params: Tensors, table: Table) -> Any:
    codes = table.codes
    location = params[ABILITY][codes["subject"]] - sum(params[facet][codes[facet]] for facet in model.facets)
    for a, b in model.interactions:
        location -= params[f"{a}:{b}"][codes[a], codes[b]]
    slope: Any = 1.0
    for facet in model.slopes:
        slope *= params[f"{facet}_slope"][codes[facet]][:, None]
    owner = np.zeros(len(table.response), np.int64) if model.steps == "common" else codes[model.steps]
    return _partial_credit(model, table, location, slope, params["step"], owner)


@response_log_probs.register
def _(model: GeneralizedPartialCredit, params: Tensors, table: Table) -> Any:
    item = table.codes["item"]
    slope = params["discrimination"][item][:, None]
    return _partial_credit(model, table, _distance(params, table), slope, params["step"], item)


def _partial_credit(
    model: AbstractMeasurementModel, table: Table, location: Any, slope: Any, steps: Any, owner: NDArray[Any]
) -> Any:
    """Masters (1982): the odds of category k over 0 are the k steps taken, each at its own price, times the slope."""
    pt = load_pymc()[1]
    used = step_groups(next(spec for spec in model.parameters if spec.name == "step"), table)
    price = pt.concatenate([pt.zeros((len(used), 1)), pt.cumsum(steps, axis=1)], axis=1)
    taken = np.arange(used.shape[1])
    odds = slope * (location[:, None] * taken - price[owner])
    if not used.all():
        odds = pt.where(used[owner], odds, _OUT_OF_REACH)
    return _of_responses(pt.special.log_softmax(odds, axis=1), table)


@response_log_probs.register
def _(model: NominalResponse, params: Tensors, table: Table) -> Any:
    pt = load_pymc()[1]
    item, theta = table.codes["item"], params[ABILITY][table.codes["subject"]]
    slope, intercept = (pt.cumsum(params[name], axis=1)[item] for name in ("slope", "intercept"))
    odds = slope * theta[:, None] + intercept
    odds = pt.concatenate([pt.zeros_like(odds[:, :1]), odds], axis=1)
    return _of_responses(pt.special.log_softmax(odds, axis=1), table)


@response_log_probs.register
def _(model: GradedResponse, params: Tensors, table: Table) -> Any:
    pm, _ = load_pymc()
    item = table.codes["item"]
    slope = params["discrimination"][item][:, None]
    thresholds = slope * (params["item"][:, None] + params["step"])[item]
    ordered = pm.OrderedLogistic.dist(eta=slope[:, 0] * params[ABILITY][table.codes["subject"]], cutpoints=thresholds)
    return pm.logp(ordered, table.response)


@response_log_probs.register
def _(model: Rasch, params: Tensors, table: Table) -> Any:
    return _bernoulli(_distance(params, table), table)


@response_log_probs.register
def _(model: TwoPL, params: Tensors, table: Table) -> Any:
    return _bernoulli(params["discrimination"][table.codes["item"]] * _distance(params, table), table)


def _bernoulli(logit: Any, table: Table) -> Any:
    pm, _ = load_pymc()
    return pm.logp(pm.Bernoulli.dist(logit_p=logit), table.response)


@response_log_probs.register(ThreePL)
@response_log_probs.register(FourPL)
def _(model: ThreePL | FourPL, params: Tensors, table: Table) -> Any:
    pm, pt = load_pymc()
    item = table.codes["item"]
    knows = pt.sigmoid(params["discrimination"][item] * _distance(params, table))
    lower = params["guessing"][item]
    upper = params["upper"][item] if "upper" in params else 1.0
    return pm.logp(pm.Bernoulli.dist(p=lower + (upper - lower) * knows), table.response)


@response_log_probs.register
def _(model: BradleyTerry, params: Tensors, table: Table) -> Any:
    pt = load_pymc()[1]
    if model.family is not None:
        raise DesignError(f"PyMCNUTS does not know families ({model.family!r}) of {type(model).__name__}: use NUTS()")
    left, right = (params["worth"][table.codes[side]] for side in ("left", "right"))
    first, tie = (
        params[name] if owner == "common" else params[name][table.codes[str(owner)]] if owner else 0.0
        for name, owner in (("position", model.position), ("tie", model.ties and model.tie_owner))
    )
    for facet in model.slopes:
        slope = params[f"{facet}_slope"][table.codes[facet]]
        left, right = slope * left, slope * right
    if model.ties == "davidson" or (model.ties is None and model.link == "logit"):
        strengths = [pt.exp(left + first), pt.exp(right)]
        if model.ties:
            strengths.append(pt.exp(tie) * pt.sqrt(pt.exp(left) * pt.exp(right)))
        shares = pt.stack(strengths, axis=1)
        return _of_responses(pt.log(shares / shares.sum(axis=1, keepdims=True)), table)
    below = pt.sigmoid if model.link == "logit" else (lambda x: 0.5 * pt.erfc(-x / np.sqrt(2)))
    wins, losses = below(left + first - right - tie), below(right - left - first - tie)
    chances = pt.stack([wins, losses, 1 - wins - losses] if model.ties else [wins, losses], axis=1)
    return _of_responses(pt.log(chances), table)


def _of_responses(log_probs: Any, table: Table) -> Any:
    return log_probs[np.arange(len(table.response)), table.response]


def _distance(params: Tensors, table: Table) -> Any:
    return params[ABILITY][table.codes["subject"]] - params["item"][table.codes["item"]]
