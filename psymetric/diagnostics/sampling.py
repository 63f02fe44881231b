"""How well a posterior was sampled, number by number: R-hat, effective sample sizes and Monte Carlo errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from psymetric.core.steps import UNUSED
from psymetric.data.messages import nearest
from psymetric.errors import DataError
from psymetric.estimation.arviz_adapter import load_arviz, named_draws
from psymetric.estimation.diagnosis import ESS_WARNING, R_HAT_WARNING
from psymetric.estimation.fit import Fit
from psymetric.estimation.frames import value_labels
from psymetric.models.base import ABILITY

__all__ = ["moving_draws", "rank_shares", "sampling_diagnostics"]

Array = NDArray[np.float64]

_WHO = "sampling_diagnostics"
_WIDE = 1.96
"""Standard errors on either side that hold 95 %."""
_STILL = 1e-9
"""Range, relative to a number's size, under which it never moved: sums that are zero but for rounding."""


def sampling_diagnostics(fit: Fit, *, parameters: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Convergence and precision of every number that was sampled, the worst first.

    Computed by ArviZ on the numbers as they are reported; `Fit.status` has the worst of the coordinates that the
    sampler moved in, which can be a little better or worse. Numbers that never move (anchors, a fixed scale) are left
    out, and so are steps of categories that nobody used.

    Args:
        fit: A fit with chains: `NUTS` or `PyMCNUTS`.
        parameters: Names, such as "judge" or "population_sd"; by default every array but the subjects', whom `NUTS`
            draws from their exact conditional.

    Returns:
        One row per number, by the smaller of its effective sample sizes: parameter, level ("" for a number that
        belongs to none), mean, sd, mcse (Monte Carlo standard error of the mean, in the unit of the number), r_hat
        (rank-normalised, NaN for one chain), ess_bulk, ess_tail (draws), flag (R-hat above 1.01, or fewer than 400
        effective draws; empty where neither).

    Raises:
        DataError: A fit without chains, or a parameter that it has no draws of.

    Source: Vehtari et al. (2021), Bayesian Analysis 16, 667-718.
    """
    if fit.draws is None or "r_hat" not in fit.status.details:
        raise DataError(f"{_WHO}: {fit.engine} has no chains to compare: fit with NUTS()")
    names = [name for name in fit.draws if name != ABILITY] if parameters is None else list(parameters)
    if unknown := [name for name in names if name not in fit.draws]:
        raise DataError(f"{_WHO}: the fit has no draws of {unknown[0]!r}; {nearest(unknown[0], fit.draws)}")
    frames: list[pd.DataFrame] = []
    for name in names:
        draws, labels = moving_draws(fit, name)
        if labels:
            frames.append(pd.DataFrame({"parameter": name, "level": labels, **_statistics(draws)}))
    columns = ["parameter", "level", "mean", "sd", "mcse", "r_hat", "ess_bulk", "ess_tail"]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    ess = frame[["ess_bulk", "ess_tail"]].min(axis=1)
    frame["flag"] = [_flag(r_hat, least) for r_hat, least in zip(frame["r_hat"], ess, strict=True)]
    return frame.iloc[np.argsort(ess.to_numpy(np.float64), kind="stable")].reset_index(drop=True)


def moving_draws(fit: Fit, name: str) -> tuple[Array, list[str]]:
    """Draws of the numbers of one array that move, shape (chains, draws, numbers), and what each is called."""
    stored = np.asarray((fit.draws or {})[name], np.float64)
    flat = stored.reshape(*stored.shape[:2], -1)
    size = np.abs(flat).max(axis=(0, 1))
    moving = (np.ptp(flat, axis=(0, 1)) > _STILL * (1 + size)) & (size < UNUSED / 2)
    labels = value_labels(fit, name)
    places = np.flatnonzero(moving)
    return flat[:, :, places], [labels[place] for place in places]


def _statistics(draws: Array) -> dict[str, Array]:
    """Columns of the frame from draws of shape (chains, draws, numbers)."""
    arviz, container = load_arviz(), named_draws({"x": draws})
    several = draws.shape[0] > 1
    return {
        "mean": draws.mean(axis=(0, 1)),
        "sd": draws.reshape(-1, draws.shape[2]).std(axis=0, ddof=1),
        "mcse": _values(arviz.mcse(container, method="mean")),
        "r_hat": _values(arviz.rhat(container)) if several else np.full(draws.shape[2], np.nan),
        "ess_bulk": _values(arviz.ess(container, method="bulk")),
        "ess_tail": _values(arviz.ess(container, method="tail")),
    }


def _values(statistics: Any) -> Array:
    return np.asarray(statistics["x"], np.float64)


def _flag(r_hat: float, ess: float) -> str:
    parts: list[str] = []
    if r_hat > R_HAT_WARNING:
        parts.append(f"chains disagree: R-hat above {R_HAT_WARNING}")
    if ess < ESS_WARNING:
        parts.append(f"few effective draws: under {ESS_WARNING}")
    return "; ".join(parts)


def rank_shares(draws: Array, *, bins: int) -> tuple[Array, float]:
    """How each chain's draws are spread over the ranks among all chains, one where even, and what chance leaves.

    Args:
        draws: Of one number, shape (chains, draws).
        bins: Number of equal parts of the ranks.

    Returns:
        Share of a chain's draws in each part over what even ranks give, shape (chains, bins); and the half-width of
        the band around one that holds 95 % of the parts of a chain that agrees, from its effective sample size alone.

    Source: Vehtari et al. (2021), section 4.3.
    """
    chains, n_draws = draws.shape
    place = np.minimum((rankdata(draws) - 1) * bins // draws.size, bins - 1).astype(np.int64).reshape(chains, n_draws)
    counts = np.stack([np.bincount(chain, minlength=bins) for chain in place])
    # Within a chain: draws of chains that disagree are worth little together, and their band would hide it.
    arviz = load_arviz()
    alone = [float(_values(arviz.ess(named_draws({"x": chain[None]}), method="bulk"))) for chain in draws]
    effective = min(float(np.median(alone)), n_draws)
    # All chains together fill every part evenly, which takes one chain's share of the spread away.
    spread = np.sqrt((bins - 1) / effective * (1 - 1 / chains))
    return counts * bins / n_draws, _WIDE * float(spread)
