"""The parameters of a model as PyMC's random variables: the same specifications and priors, written a second time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from psymetric.errors import DesignError, MissingDependencyError
from psymetric.estimation.arviz_adapter import load_arviz
from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.space import (
    POPULATION_MEAN,
    POPULATION_MEAN_PRIOR_SD,
    POPULATION_SD,
    SCALE_PRIOR_SD,
    step_groups,
)

__all__ = ["STANDARDISED", "compilation", "declare_parameters", "load_pymc"]

STANDARDISED = "standardised"
"""Ending of what is sampled in the place of a subject or of a level of a random facet: its value over its sd."""


def load_pymc() -> tuple[Any, Any]:
    """PyMC, and PyTensor's tensors, without their notice that no BLAS is linked: nothing here multiplies matrices.

    Raises:
        MissingDependencyError: PyMC is not installed.
    """
    load_arviz()  # first, since PyMC imports it too, notice included
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PyTensor could not link to a BLAS", UserWarning)
        try:
            import pymc  # pyright: ignore[reportMissingImports]
            import pytensor.tensor  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise MissingDependencyError("PyMC", "pymc") from error
        # Read here, where the notice is caught, and not at the first compilation.
        _ = pytensor.config.blas__ldflags  # pyright: ignore[reportPrivateImportUsage]
    return pymc, pytensor.tensor


def compilation() -> dict[str, str]:
    """PyMC's own choice of compiler, or Numba where there is no C++ compiler: plain Python is far too slow."""
    load_pymc()
    import pytensor  # pyright: ignore[reportMissingImports]

    return {} if pytensor.config.cxx else {"mode": "NUMBA"}  # pyright: ignore[reportPrivateImportUsage]


def declare_parameters(model: AbstractMeasurementModel, table: Table) -> dict[str, Any]:
    """Declare every parameter of `model` within the open PyMC model; returns tensors by name, θ by subject included.

    Raises:
        DesignError: Groups or covariates of subjects, covariates of levels, or drift.
    """
    _check_written(model)
    found: dict[str, Any] = {}
    for spec in model.parameters:
        if spec.name == ABILITY:
            found |= _subjects(model, len(table.levels["subject"]))
        elif "step" in spec.axes and spec.identification == "sum_to_zero" and spec.support == "real":
            found[spec.name] = _steps(spec, table)
        else:
            found |= _facet(spec, table)
    return found


def _check_written(model: AbstractMeasurementModel) -> None:
    what = [f"population {model.population}"] if model.population.columns else []
    what += [f"covariates of {spec.name!r}" for spec in model.parameters if spec.covariates]
    what += [f"drift {spec.name!r}" for spec in model.parameters if spec.course]
    if what:
        raise DesignError(
            f"PyMCNUTS, an independent second implementation, does not know {what[0]} of {type(model).__name__}: use "
            "NUTS(), which fits every model"
        )


def _subjects(model: AbstractMeasurementModel, n_subjects: int) -> dict[str, Any]:
    pm, pt = load_pymc()
    if model.scale == "subjects":
        return {
            ABILITY: pm.Normal(ABILITY, 0, 1, shape=n_subjects),
            POPULATION_MEAN: pt.constant(0.0),
            POPULATION_SD: pt.constant(1.0),
        }
    mean = pm.Normal(POPULATION_MEAN, 0, POPULATION_MEAN_PRIOR_SD)
    sd = pm.HalfNormal(POPULATION_SD, SCALE_PRIOR_SD)
    each = pm.Normal(f"{ABILITY}_{STANDARDISED}", 0, 1, shape=n_subjects)
    return {ABILITY: mean + sd * each, POPULATION_MEAN: mean, POPULATION_SD: sd}


def _facet(spec: ParamSpec, table: Table) -> dict[str, Any]:
    """Any parameter but the subjects and steps that sum to zero."""
    pm, pt = load_pymc()
    name, sd = spec.name, spec.prior_sd
    shape = tuple(len(table.categories) - 1 if axis == "step" else len(table.levels[axis]) for axis in spec.axes)
    if spec.anchors:
        return {name: _anchored(spec, table)}
    if spec.support == "ordered":
        gaps = pt.exp(pm.Normal(f"{name}_log_gap", spec.centre, sd, shape=(shape[0], shape[1] - 1)))
        rising = pt.concatenate([pt.zeros((shape[0], 1)), pt.cumsum(gaps, axis=1)], axis=1)
        return {name: rising - rising.mean(axis=1, keepdims=True)}
    if spec.identification == "sum_to_zero" and 1 in shape:  # nothing is left of one level
        return {name: pt.ones(shape) if spec.support == "positive" else pt.zeros(shape)}
    if spec.random:
        scale = pm.HalfNormal(f"{name}_sd", SCALE_PRIOR_SD)
        return {name: scale * _normal(spec, f"{name}_{STANDARDISED}", 0.0, 1.0, shape), f"{name}_sd": scale}
    free = _normal(spec, f"{name}_free", spec.centre, sd, shape)
    return {name: {"real": lambda x: x, "positive": pt.exp, "unit": pt.sigmoid}[spec.support](free)}


def _normal(spec: ParamSpec, name: str, centre: float, sd: float, shape: tuple[int, ...]) -> Any:
    """Independent normals, or normals conditioned on sums of zero along every axis."""
    pm = load_pymc()[0]
    if spec.identification == "sum_to_zero":
        return pm.ZeroSumNormal(name, sd, shape=shape, n_zerosum_axes=len(shape))
    return pm.Normal(name, centre, sd, shape=shape)


def _anchored(spec: ParamSpec, table: Table) -> Any:
    """Known levels at their values, the others free."""
    pm, pt = load_pymc()
    known = dict(spec.anchors)
    labels = table.levels[spec.axes[0]]
    free = np.array([place for place, label in enumerate(labels) if label not in known], np.int64)
    value = pt.constant(np.array([known.get(label, 0.0) for label in labels]))
    if not len(free):
        return value
    return value[free].set(pm.Normal(f"{spec.name}_free", 0, spec.prior_sd, shape=len(free)))


def _steps(spec: ParamSpec, table: Table) -> Any:
    """Steps with a normal prior on the plane that they are free to move in, shape (groups, categories - 1)."""
    pm, pt = load_pymc()
    used = step_groups(spec, table)
    value = pt.zeros((len(used), used.shape[1] - 1))
    for number, pattern in enumerate(np.unique(used, axis=0)):
        basis, groups = _free_directions(pattern), np.flatnonzero((used == pattern).all(axis=1))
        if basis.shape[1]:
            free = pm.Normal(f"{spec.name}_free_{number}", 0, spec.prior_sd, shape=(len(groups), basis.shape[1]))
            value = value[groups].set((free[:, None, :] * basis).sum(axis=2))
    return value


def _free_directions(used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Orthonormal directions of the steps of one group, shape (categories - 1, directions).

    They are what three rules leave: steps sum to zero; those beyond the outermost used categories are zero; those that
    meet in an unused category are alike.
    """
    n_steps, places = len(used) - 1, np.flatnonzero(used)
    low, high = places[[0, -1]] if len(places) else (0, 0)
    identity = np.eye(n_steps)
    rules = [np.ones(n_steps)]
    rules += [identity[step] for step in range(n_steps) if not low <= step < high]
    rules += [identity[k - 1] - identity[k] for k in range(low + 1, high) if not used[k]]
    return null_space(np.array(rules))
