"""Truths drawn from the documented priors, in NumPy alone: no prior, bijector or constant of the package is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec
from psymetric.models.bradley_terry import BradleyTerry
from psymetric.models.judge_mixture import JudgeMixture
from psymetric.models.multidimensional import Multidimensional
from psymetric.models.plackett_luce import PlackettLuce

Values = dict[str, np.ndarray]

MEAN_PRIOR_SD, SCALE_PRIOR_SD = 5.0, 2.5
"""Documented priors: population mean N(0, 5²); population sd and sd of a random facet half-normal of scale 2.5."""


def centred(value: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """A normal prior on the directions that sum to zero is the normal in all directions, less its means."""
    for axis in axes:
        value = value - value.mean(axis=axis, keepdims=True)
    return value


def half_normal(rng: np.random.Generator, sd: float, shape: tuple[int, ...] = ()) -> np.ndarray:
    return np.abs(rng.normal(0, sd, shape))


def draw_truth(
    model: AbstractMeasurementModel,
    sizes: Mapping[str, int],
    columns: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> Values:
    """Every parameter and ability of a model.

    Args:
        model: The model.
        sizes: Number of levels by facet, with "subject"; "step" is the number of categories less one.
        columns: What covariates, groups and occasions say of the levels they belong to: numbers, or codes of a group.
        rng: Random numbers.
    """
    if isinstance(model, JudgeMixture):
        return _mixture(model, sizes, columns, rng)
    values: Values = {}
    if isinstance(model, PlackettLuce) and model.pseudo is not None:
        values |= _against_a_ghost(model.pseudo, sizes["item"], rng)
    for spec in model.parameters:
        if spec.name in values:
            continue
        if spec.name == ABILITY:
            n = sizes["subject"]
            several = isinstance(model, Multidimensional)
            values |= _dimensions(model, n, rng) if several else _population(model, n, columns, rng)
        else:
            values |= _parameter(model, spec, sizes, columns, rng)
    if isinstance(model, BradleyTerry) and model.family:
        of_family = values[model.family][columns[model.family]]
        values["worth"] = values["worth"] + of_family - of_family.mean()
    return values


def _against_a_ghost(pseudo: float, n_items: int, rng: np.random.Generator) -> Values:
    """So many wins and losses each: the chance of a win over the ghost is from Beta(pseudo, pseudo)."""
    chance = rng.beta(pseudo, pseudo, n_items)
    above = np.log(chance) - np.log1p(-chance)
    return {"worth": above - above.mean(), "ghost": -above.mean()}


def _mixture(
    model: JudgeMixture, sizes: Mapping[str, int], columns: Mapping[str, np.ndarray], rng: np.random.Generator
) -> Values:
    """Each class draws its own of what judges of one class follow; log-odds of the classes are normal, and centred."""
    own = [draw_truth(model.model, sizes, columns, rng) for _ in range(model.classes)]
    odds = np.exp(centred(rng.normal(0, model.share_prior_sd, model.classes), (0,)))
    return {"share": odds / odds.sum(), **{name: np.stack([one[name] for one in own], axis=-1) for name in own[0]}}


def _parameter(
    model: AbstractMeasurementModel,
    spec: ParamSpec,
    sizes: Mapping[str, int],
    columns: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> Values:
    if isinstance(model, Multidimensional) and spec.name in ("item", "discrimination"):
        return {spec.name: _of_key(model, spec, rng)}
    if spec.support == "scale":
        return {spec.name: half_normal(rng, spec.prior_sd)}
    shape = tuple(sizes[axis] for axis in spec.axes)
    sd, values = np.array(spec.prior_sd), Values()
    if spec.random:
        sd = half_normal(rng, SCALE_PRIOR_SD)
        values[f"{spec.name}_sd"] = sd
    if spec.course:
        return values | {spec.name: sd * _course(spec, shape, columns[spec.axes[1]], rng)}
    if spec.covariates:
        terms = np.stack([columns[name] for name in spec.covariates], axis=1)
        weight = rng.normal(0, spec.prior_sd, terms.shape[1]) / terms.std(axis=0)
        left = sd * centred(rng.normal(size=shape), (0,)) if spec.random else 0.0
        # What belongs to a comparison has its origin at zero: no difference, no effect.
        origin = 0.0 if spec.identification == "free" else terms.mean(axis=0)
        return values | {f"{spec.name}_weight": weight, spec.name: (terms - origin) @ weight + left}
    return values | {spec.name: _SUPPORTS[spec.support](spec, spec.centre + sd * rng.normal(size=shape))}


def _real(spec: ParamSpec, value: np.ndarray) -> np.ndarray:
    if spec.anchors:
        for level, known in spec.anchors:
            value[int(level)] = known
        return value
    if spec.identification == "free":
        return value
    return centred(value, (-1,) if "step" in spec.axes else tuple(range(value.ndim)))


def _positive(spec: ParamSpec, value: np.ndarray) -> np.ndarray:
    return np.exp(_real(spec, value))


def _ordered(spec: ParamSpec, value: np.ndarray) -> np.ndarray:
    """The logs of the distances are normal; the first number of a row is not needed."""
    rising = np.cumsum(np.exp(value[:, 1:]), axis=1)
    return centred(np.pad(rising, ((0, 0), (1, 0))), (1,))


def _unit(spec: ParamSpec, value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


_SUPPORTS: dict[str, Callable[[ParamSpec, np.ndarray], np.ndarray]] = {
    "real": _real, "positive": _positive, "ordered": _ordered, "unit": _unit,
}  # fmt: skip


def _course(spec: ParamSpec, shape: tuple[int, ...], times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Courses around each level's mean: walks of sd one per root unit of time, or lines of slope one per unit."""
    if spec.course == "walk":
        steps = rng.normal(size=(shape[0], shape[1] - 1)) * np.sqrt(np.diff(times))
        value = np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))
    else:
        value = rng.normal(size=(shape[0], 1)) * times
    return centred(value, (1, 0))


def _population(
    model: AbstractMeasurementModel, n_subjects: int, columns: Mapping[str, np.ndarray], rng: np.random.Generator
) -> Values:
    population = model.population
    group = np.zeros(n_subjects, int) if population.groups is None else columns[population.groups]
    n_groups = group.max() + 1
    mean, sd = rng.normal(0, MEAN_PRIOR_SD, n_groups), half_normal(rng, SCALE_PRIOR_SD, (n_groups,))
    if model.scale == "subjects":
        mean[0], sd[0] = 0.0, 1.0
    shift, values = np.zeros(n_subjects), Values()
    if population.covariates:
        terms = np.stack([columns[name] for name in population.covariates], axis=1)
        values["covariate_weight"] = rng.normal(0, population.prior_sd, terms.shape[1]) / terms.std(axis=0)
        shift = (terms - terms.mean(axis=0)) @ values["covariate_weight"]
    values[ABILITY] = rng.normal(mean[group] + shift, sd[group])
    shape = () if population.groups is None else (n_groups,)
    return values | {"population_mean": mean.reshape(shape), "population_sd": sd.reshape(shape)}


def _dimensions(model: Multidimensional, n_subjects: int, rng: np.random.Generator) -> Values:
    """Two dimensions: the LKJ prior of concentration one is uniform on their correlation."""
    assert (len(model.key), model.lkj) == (2, 1.0)
    mean, sd = rng.normal(0, MEAN_PRIOR_SD, 2), half_normal(rng, SCALE_PRIOR_SD, (2,))
    if model.scale == "subjects":
        mean, sd = np.zeros(2), np.ones(2)
    correlation = np.full((2, 2), rng.uniform(-1, 1))
    np.fill_diagonal(correlation, 1.0)
    ability = mean + sd * rng.multivariate_normal(np.zeros(2), correlation, n_subjects)
    return {ABILITY: ability, "population_mean": mean, "population_sd": sd, "correlation": correlation}


def _of_key(model: Multidimensional, spec: ParamSpec, rng: np.random.Generator) -> np.ndarray:
    """Items centred within every dimension, and slopes where the key has them; items are numbered."""
    items = sorted({item for members in model.key.values() for item in members})
    pattern = np.array([[item in members for members in model.key.values()] for item in items], float)
    if spec.name == "discrimination":
        free = model.discrimination == "free"
        return pattern * (rng.normal(spec.centre, spec.prior_sd, pattern.shape) if free else 1.0)
    value = rng.normal(0, spec.prior_sd, len(items))
    if model.discrimination == "one":
        value = value - pattern @ np.linalg.lstsq(pattern, value, rcond=None)[0]
    return value
