"""Whether chains have converged: R-hat, effective sample sizes and divergences as a status."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psymetric.estimation.arviz_adapter import load_arviz, named_draws
from psymetric.estimation.fit import FitStatus

__all__ = ["ESS_WARNING", "R_HAT_WARNING", "diagnose"]

R_HAT_WARNING, ESS_WARNING = 1.01, 400
_R_HAT_FAILURE = 1.05


def diagnose(free: NDArray[np.float64], divergences: int, steps: float) -> tuple[FitStatus, tuple[str, ...]]:
    """The status of sampled chains, and warnings.

    Args:
        free: What was sampled, shape (chains, draws, numbers).
        divergences: Divergent transitions after warm-up.
        steps: Mean leapfrog steps per draw.

    Source: Vehtari et al. (2021), Bayesian Analysis 16, 667-718.
    """
    if free.shape[2] == 0:
        return FitStatus(True, "nothing to sample", 0), ()
    arviz = load_arviz()
    container = named_draws({"x": free})
    bulk, tail = (float(_values(arviz.ess(container, method=method)).min()) for method in ("bulk", "tail"))
    r_hat = float(_values(arviz.rhat(container)).max()) if free.shape[0] > 1 else 1.0
    warnings: list[str] = []
    if r_hat > R_HAT_WARNING:
        warnings.append(f"R-hat {r_hat:.3f} exceeds {R_HAT_WARNING}: the chains disagree, run more warm-up")
    if min(bulk, tail) < ESS_WARNING:
        warnings.append(f"effective sample size {min(bulk, tail):.0f} is under {ESS_WARNING}: run more draws")
    if divergences:
        warnings.append(f"{divergences} divergent transitions: raise target_accept")
    details = {
        "r_hat": r_hat, "ess_bulk": bulk, "ess_tail": tail, "divergences": float(divergences), "mean_steps": steps,
    }  # fmt: skip
    message = f"R-hat {r_hat:.3f}, ESS bulk {bulk:.0f} tail {tail:.0f}, {divergences} divergences"
    iterations = free.shape[0] * free.shape[1]
    return FitStatus(r_hat <= _R_HAT_FAILURE, message, iterations, details), tuple(warnings)


def _values(statistics: Any) -> NDArray[np.float64]:
    return np.asarray(statistics["x"])
