"""Which engines can fit a model: what an engine that cannot says instead."""

from __future__ import annotations

from psymetric.models.base import ABILITY, AbstractMeasurementModel
from psymetric.models.nested import AbstractNestedModel
from psymetric.models.space import has_ability, has_dimensions
from psymetric.models.truth import AbstractTruthModel

__all__ = ["suitable_engines", "use_instead"]


def suitable_engines(model: AbstractMeasurementModel) -> tuple[str, ...]:
    """Names of the engines that can fit a model, those that need no prior first.

    Maximum likelihood of a model that needs a prior is possible but not to be relied on, and is not among them.
    """
    specs = [spec for spec in model.parameters if spec.name != ABILITY]
    # Engines without a population of subjects have neither groups and covariates nor anything to fix slopes with.
    is_plain = not has_dimensions(model) and not isinstance(model, AbstractNestedModel)
    is_joint = model.scale == "items" and not model.population.columns and is_plain
    fixed = not any(spec.random for spec in specs)
    sums_suffice = all(spec.support == "real" and spec.unit == "logit" for spec in specs)
    is_truth = isinstance(model, AbstractTruthModel)
    can = {
        "MarginalML": (has_ability(model) or is_truth) and not model.needs_prior,
        "ConditionalML": has_ability(model) and is_joint and fixed and sums_suffice,
        "JointML": (is_joint and fixed) if has_ability(model) else not (is_truth or model.needs_prior),
        **dict.fromkeys(("MAP", "Laplace", "NUTS", "SVI"), True),
    }
    return tuple(name for name, is_able in can.items() if is_able)


def use_instead(model: AbstractMeasurementModel) -> str:
    """The same as the end of a message: `use MarginalML(), MAP() or NUTS()`."""
    *others, last = [f"{name}()" for name in suitable_engines(model)]
    return f"use {', '.join(others)} or {last}"
