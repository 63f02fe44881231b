"""Finding models by name: every module of this package that defines one, and third parties' entry points."""

from __future__ import annotations

import re
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import entry_points
from inspect import isabstract
from pkgutil import iter_modules
from typing import Any

import psymetric.models as package
from psymetric.errors import DataError
from psymetric.models.base import AbstractMeasurementModel

__all__ = ["available_models", "get_model", "model_names", "model_settings"]


def available_models() -> dict[str, type[AbstractMeasurementModel]]:
    """All models by class name: the files of this folder, and the entry-point group `psymetric.models`."""
    found: dict[str, type[AbstractMeasurementModel]] = {}
    for module in iter_modules(package.__path__):
        for value in vars(import_module(f"{package.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, AbstractMeasurementModel) and not isabstract(value):
                found[value.__name__] = value
    for entry in entry_points(group="psymetric.models"):
        found[entry.name] = entry.load()
    return found


def model_names() -> dict[str, type[AbstractMeasurementModel]]:
    """All models by the name that study files use: the class name in snake case, such as `many_facet_rasch`."""
    return {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(): model for name, model in available_models().items()}


def get_model(name: str, settings: dict[str, Any]) -> AbstractMeasurementModel:
    """Build a model from its class name and settings.

    Raises:
        DataError: No model of that name, or a setting it does not have.
    """
    models = available_models()
    if name not in models:
        raise DataError(f"no model is called {name!r}: known are {sorted(models)}")
    try:
        return models[name](**settings)
    except TypeError as error:
        raise DataError(f"{name} cannot be built from {settings}: {error}") from error


def model_settings(model: AbstractMeasurementModel) -> dict[str, Any]:
    """The settings of a model as a dictionary that `get_model` reads back."""
    return asdict(model)  # pyright: ignore[reportArgumentType]
