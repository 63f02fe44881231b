"""PyMC's No-U-Turn sampler on the model written a second time, subjects kept: a check on everything `NUTS` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from psymetric.core.parameters import Block
from psymetric.core.steps import Steps
from psymetric.errors import DataError
from psymetric.estimation.diagnosis import diagnose
from psymetric.estimation.fit import Fit
from psymetric.estimation.posterior import label_draws
from psymetric.estimation.pymc_likelihoods import response_log_probs
from psymetric.estimation.pymc_priors import compilation, declare_parameters, load_pymc
from psymetric.models.base import ABILITY, AbstractMeasurementModel, Table
from psymetric.models.space import has_ability, parameter_space

__all__ = ["PyMCNUTS", "pymc_model"]


@final
@dataclass(frozen=True)
class PyMCNUTS:
    """No-U-Turn sampling by PyMC (extra `pymc`), an independent second implementation to hold `NUTS` against.

    The same parameter specifications and priors are written as PyMC's random variables and the likelihood in PyTensor;
    no line of `NUTS`'s density is used. Subjects are sampled beside all else, as mean + sd · z, and not integrated
    out, so that it is slower by far. PyMC's defaults otherwise: diagonal mass matrix, starts jittered around zero.
    `status` diagnoses everything sampled, subjects included.

    Fits ManyFacetRasch with all its settings, Rasch, TwoPL, ThreePL, FourPL, GeneralizedPartialCredit, GradedResponse,
    NominalResponse and BradleyTerry.

    Args:
        warmup: Adaptation steps per chain.
        draws: Draws kept per chain.
        chains: Number of chains.
        seed: Seed of the random numbers.
        target_accept: Acceptance probability that the step size adapts to.
        cores: Chains run at once, each in a process of its own where there are several; a script must then guard its
            entry with `if __name__ == "__main__"`.
        progress: Show PyMC's progress bar.

    Raises:
        MissingDependencyError: On `run`, where PyMC is not installed.
        DesignError: On `run`, for another model.

    Source: Hoffman & Gelman (2014), JMLR 15, 1593-1623; Abril-Pla et al. (2023), PeerJ Computer Science 9, e1516.
    """

    warmup: int = 1_000
    draws: int = 1_000
    chains: int = 4
    seed: int = 0
    target_accept: float = 0.8
    cores: int = 1
    progress: bool = False

    def __post_init__(self) -> None:
        if min(self.warmup, self.chains, self.cores) < 1 or self.draws < 4 or not 0 < self.target_accept < 1:
            raise DataError(f"{self} needs warmup, chains and cores >= 1, draws >= 4 and 0 < target_accept < 1")

    def run(self, model: AbstractMeasurementModel, table: Table) -> Fit:
        """Fit `model` to `table`; call it through `psymetric.fit`, which checks the table first."""
        pm, _ = load_pymc()
        written = pymc_model(model, table)
        trace = pm.sample(
            self.draws,
            tune=self.warmup,
            chains=self.chains,
            cores=self.cores,
            mp_ctx="spawn",  # JAX's threads, which this process has, do not survive a fork
            random_seed=self.seed,
            target_accept=self.target_accept,
            progressbar=self.progress,
            quiet=not self.progress,
            compute_convergence_checks=False,
            compile_kwargs=compilation(),
            model=written,
        )
        divergences, steps = (np.asarray(trace.sample_stats[name]) for name in ("diverging", "n_steps"))
        sampled = [np.asarray(trace.posterior[variable.name]) for variable in written.free_RVs]
        free = np.concatenate([value.reshape(*value.shape[:2], -1) for value in sampled], axis=2)
        status, notes = diagnose(free, int(divergences.sum()), float(steps.mean()))
        space = parameter_space(model, table, ability="integrated")
        draws = {block.name: np.asarray(trace.posterior[block.name]) + _marks(block) for block in space.blocks}
        if has_ability(model):
            draws[ABILITY] = np.asarray(trace.posterior[ABILITY])
        return label_draws(
            model, table, self, draws, n_parameters=space.size, status=status, seed=self.seed, notes=notes
        )


def _marks(block: Block) -> NDArray[np.float64] | float:
    """What results show in the place of the steps into and out of a category that nobody used."""
    return np.asarray(block.bijector.offset, np.float64) if isinstance(block.bijector, Steps) else 0.0


def pymc_model(model: AbstractMeasurementModel, table: Table) -> Any:
    """`model` on `table` as a `pymc.Model`, whose deterministic variables are the constrained parameters by name.

    Raises:
        MissingDependencyError: PyMC is not installed.
        DesignError: A model without a likelihood in PyTensor.
    """
    pm, pt = load_pymc()
    with pm.Model() as written:
        params = declare_parameters(model, table)
        for name in params.keys() - written.named_vars.keys():
            pm.Deterministic(name, params[name])
        log_probs = response_log_probs(model, params, table)
        pm.Potential("log_likelihood", pt.sum(table.weight * log_probs))
    return written
