"""Linking constants and how they move with the levels used and with the parameters: functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.optimize import minimize

from psymetric.core.precision import double_precision
from psymetric.scoring.forms import Form, form_log_probs

__all__ = ["CurveMethod", "LinkedForms", "Sensitivity", "curve_constants", "moment_constants"]

Array = NDArray[np.float64]
CurveMethod = Literal["haebara", "stocking_lord"]
Params = Mapping[str, Any]

_REACH, _NODES = 4.0, 41
"""Each population is summed over ± this many sds: the curves are compared where there are subjects."""


@final
@dataclass(frozen=True)
class LinkedForms:
    """The same N cells under two fits, and where the subjects of each are.

    Attributes:
        old: The form under the fit that is linked.
        new: The form under the fit whose scale is the target.
        old_population: Mean and sd, logits.
        new_population: Mean and sd, logits.
    """

    old: Form
    new: Form
    old_population: tuple[float, float]
    new_population: tuple[float, float]


@final
@dataclass(frozen=True)
class Sensitivity:
    """Constants (log slope, shift) and their derivatives.

    Attributes:
        constants: Shape (2,); the log slope is zero where it is held.
        by_level: Derivatives by the weight of each level, shape (2, N).
        by_old: Derivatives by each array of the linked fit, flattened, shape (2, size) each.
        by_new: The same for the target fit.
    """

    constants: Array
    by_level: Array
    by_old: Mapping[str, Array]
    by_new: Mapping[str, Array]


def _grid(population: tuple[float, float]) -> tuple[Array, Array]:
    at = np.linspace(-_REACH, _REACH, _NODES)
    weight = np.exp(-0.5 * at**2)
    return population[0] + population[1] * at, weight / weight.sum()


def _criterion(
    constants: JaxArray,
    level: JaxArray,
    old: Params,
    new: Params,
    codes: Any,
    grids: Any,
    models: Any,
    n_categories: int,
    method: str,
) -> JaxArray:
    """Squared distance of the two sets of curves, over both populations."""
    slope, shift = jnp.exp(constants[0]), constants[1]
    total = jnp.zeros(())
    (old_theta, old_weight), (new_theta, new_weight) = grids
    for on_old, on_new, weight in (
        (old_theta, slope * old_theta + shift, old_weight),
        ((new_theta - shift) / slope, new_theta, new_weight),
    ):
        first = jnp.exp(form_log_probs(models[0], old, codes[0], on_old, n_categories))
        second = jnp.exp(form_log_probs(models[1], new, codes[1], on_new, n_categories))
        gap = second - first
        if method == "haebara":
            total += jnp.einsum("n,m,nmk->", level, weight, gap**2)
        else:
            total += weight @ jnp.einsum("n,nmk,k->m", level, gap, jnp.arange(gap.shape[2], dtype=gap.dtype)) ** 2
    return total


_STATIC = (6, 7, 8)
_distance = jax.jit(_criterion, static_argnums=_STATIC)
_gradient = jax.jit(jax.grad(_criterion), static_argnums=_STATIC)
_hessian = jax.jit(jax.hessian(_criterion), static_argnums=_STATIC)
_gradient_moves = jax.jit(jax.jacrev(jax.grad(_criterion), argnums=(1, 2, 3)), static_argnums=_STATIC)


def curve_constants(forms: LinkedForms, method: CurveMethod, *, free_slope: bool) -> Sensitivity:
    """Constants that bring the response curves of two fits together, with derivatives by the implicit function.

    Both directions count: the curves are compared over the linked fit's population and over the target's, so that
    linking back gives the inverse. `haebara` sums squared differences of every category of every level;
    `stocking_lord` squares the difference of the expected sum scores.

    Source: Haebara (1980), Japanese Psychological Research 22, 144-149; Stocking & Lord (1983), Applied Psychological
    Measurement 7, 201-210, eq. 12; both directions: Kolen & Brennan (2014), Test Equating, Scaling, and Linking, ch. 6.
    """
    rest = (
        np.ones(len(forms.old.labels)),
        dict(forms.old.params),
        dict(forms.new.params),
        (dict(forms.old.codes), dict(forms.new.codes)),
        (_grid(forms.old_population), _grid(forms.new_population)),
        (forms.old.model, forms.new.model),
        forms.old.n_categories,
        method,
    )
    active = np.array([0, 1]) if free_slope else np.array([1])

    def full(part: Array) -> Array:
        constants = np.zeros(2)
        constants[active] = part
        return constants

    with double_precision():
        found = minimize(
            lambda part: float(_distance(full(part), *rest)),
            np.zeros(len(active)),
            jac=lambda part: np.asarray(_gradient(full(part), *rest))[active],
            hess=lambda part: np.asarray(_hessian(full(part), *rest))[np.ix_(active, active)],
            method="trust-exact",
            options={"gtol": 1e-10},
        )
        constants = full(found.x)
        curvature = np.asarray(_hessian(constants, *rest))[np.ix_(active, active)]
        moved = _gradient_moves(constants, *rest)
    inverse = np.linalg.inv(curvature)

    def implicit(change: Any) -> Array:
        wide = np.zeros((2, int(np.size(change)) // 2))
        wide[active] = -inverse @ np.asarray(change).reshape(2, -1)[active]
        return wide

    by_level, by_old, by_new = (jax.tree.map(implicit, part) for part in moved)
    return Sensitivity(constants, by_level, forms.old.own(by_old), forms.new.own(by_new))


def moment_constants(
    old: Mapping[str, Array],
    new: Mapping[str, Array],
    codes: tuple[NDArray[np.int32], NDArray[np.int32]],
    names: tuple[str, str | None],
    *,
    free_slope: bool,
) -> Sensitivity:
    """Constants from the moments of locations and slopes of the common levels.

    The slope is the ratio of the mean discriminations where `names` gives an array of them (mean/mean), else the ratio
    of the standard deviations of the locations (mean/sigma), or one.

    Args:
        old: Arrays of the linked fit.
        new: Arrays of the target fit.
        codes: Codes of the common levels in the two fits, shape (N,) each.
        names: The array of locations, and the array of discriminations or None.
        free_slope: Whether the slope is estimated.

    Source: Marco (1977), Journal of Educational Measurement 14, 139-160 (mean/sigma); Loyd & Hoover (1980), Journal of
    Educational Measurement 17, 179-193 (mean/mean); Kolen & Brennan (2014), eq. 6.8 to 6.10.
    """
    location, slopes = names

    def constants(level: JaxArray, old: Any, new: Any) -> JaxArray:
        share = level / level.sum()
        first, second = old[location][codes[0]], new[location][codes[1]]
        log_slope = jnp.zeros(())
        if free_slope and slopes is not None:
            log_slope = jnp.log(share @ old[slopes][codes[0]]) - jnp.log(share @ new[slopes][codes[1]])
        elif free_slope:
            spread = [share @ (value - share @ value) ** 2 for value in (first, second)]
            log_slope = (jnp.log(spread[1]) - jnp.log(spread[0])) / 2
        return jnp.stack([log_slope, share @ second - jnp.exp(log_slope) * (share @ first)])

    level = np.ones(len(codes[0]))
    arrays = [{name: value[name] for name in names if name is not None} for value in (old, new)]
    with double_precision():
        found = np.asarray(constants(jax.device_put(level), *jax.device_put(arrays)))
        moved = jax.jacrev(constants, argnums=(0, 1, 2))(level, *arrays)
    return Sensitivity(found, *(jax.tree.map(lambda part: np.asarray(part).reshape(2, -1), part) for part in moved))
