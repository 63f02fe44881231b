"""The No-U-Turn sampler on the posterior with the subjects integrated out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import numpy as np
from jax import Array

from psymetric.core.precision import double_precision
from psymetric.errors import DataError
from psymetric.estimation.diagnosis import diagnose
from psymetric.estimation.fit import Fit
from psymetric.estimation.posterior import best_mode, fit_from_draws, unswitched_draws, whitening
from psymetric.estimation.problems import Problem
from psymetric.models.base import AbstractMeasurementModel, Table

__all__ = ["NUTS"]


@final
@dataclass(frozen=True)
class NUTS:
    """No-U-Turn sampling (NumPyro) of the posterior of all parameters.

    Subjects are integrated out on the marginal engine's grid and drawn afterwards from their exact conditional, so
    that the sampler sees tens of parameters instead of thousands and no funnel between the subjects and their sd.
    Random facets are non-centred. Chains start around the mode, whitened by the curvature there. Draws of a mixture
    have their classes in the order closest to the mode's, and a note says how many had to be put into it.

    Args:
        warmup: Adaptation steps per chain.
        draws: Draws kept per chain.
        chains: Number of chains, run side by side in one vectorised program.
        seed: Seed of the random numbers.
        target_accept: Acceptance probability that the step size adapts to.
        max_tree_depth: Cap on doublings per draw.

    Source: Hoffman & Gelman (2014), JMLR 15, 1593-1623; R-hat and ESS: Vehtari et al. (2021), Bayesian Analysis 16,
    667-718.
    """

    warmup: int = 300
    draws: int = 1_000
    chains: int = 4
    seed: int = 0
    target_accept: float = 0.8
    max_tree_depth: int = 10

    def __post_init__(self) -> None:
        if self.warmup < 1 or self.draws < 4 or self.chains < 1 or not 0 < self.target_accept < 1:
            raise DataError(f"{self} needs warmup >= 1, draws >= 4, chains >= 1 and 0 < target_accept < 1")

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        with double_precision():
            climbed = best_mode(model, table, tolerance=1e-4, max_iterations=2_000, starts=1, seed=self.seed)
            mode = climbed.best.for_draws()
            centre = jax.device_put(mode.maximum.point)
            # The mode is only a place to start: a flat direction there gets unit scale and the sampler adapts.
            root = jax.device_put(whitening(mode.maximum.curvature.schur))
            # Drawn by NumPy: each eager JAX draw costs a compilation.
            rng = np.random.default_rng(self.seed)
            starts = jax.device_put(rng.standard_normal((self.chains, len(centre))))
            keys = jax.device_put(rng.integers(0, 2**32, (self.chains, 2), dtype=np.uint32))
            free, diverging, steps = _sample(
                mode.problem,
                centre,
                root,
                keys,
                starts,
                warmup=self.warmup,
                draws=self.draws,
                target_accept=self.target_accept,
                max_tree_depth=self.max_tree_depth,
            )
            free, switched = unswitched_draws(mode, np.asarray(free))
            status, notes = diagnose(free, int(np.asarray(diverging).sum()), float(np.asarray(steps).mean()))
            notes = (*climbed.notes, *switched, *notes)
            return fit_from_draws(model, table, self, mode.problem, free, status=status, seed=self.seed, notes=notes)


@partial(jax.jit, static_argnames=("warmup", "draws", "target_accept", "max_tree_depth"))
def _sample(
    problem: Problem,
    centre: Array,
    root: Array,
    keys: Array,
    starts: Array,
    *,
    warmup: int,
    draws: int,
    target_accept: float,
    max_tree_depth: int,
) -> tuple[Array, Array, Array]:
    """Draws of the free vector, shape (chains, draws, parameters), with divergences and leapfrog steps per draw."""
    from numpyro.infer import NUTS as Kernel

    def potential(white: Array) -> Array:
        return -problem.log_density(centre + root @ white)

    kernel = Kernel(potential_fn=potential, target_accept_prob=target_accept, max_tree_depth=max_tree_depth)

    def chain(key: Array, start: Array) -> tuple[Array, Array, Array]:
        def step(current: Any, _: None) -> tuple[Any, tuple[Array, Array, Array]]:
            after = kernel.sample(current, (), {})
            return after, (after.z, after.diverging, after.num_steps)

        # One loop for warm-up and draws: a second copy of the tree building would double the time to compile.
        state: Any = kernel.init(jax.random.wrap_key_data(key), warmup, start, (), {})
        white, diverging, steps = jax.lax.scan(step, state, None, length=warmup + draws)[1]
        return white[warmup:], diverging[warmup:], steps[warmup:]

    white, diverging, steps = jax.vmap(chain)(keys, starts)
    return centre + white @ root.T, diverging, steps
