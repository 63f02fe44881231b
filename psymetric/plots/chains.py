"""Trace and rank plots of posterior draws, drawn by ArviZ."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from psymetric.data.messages import listing, nearest
from psymetric.errors import DataError
from psymetric.estimation.arviz_adapter import drawn_by_arviz, to_arviz
from psymetric.estimation.fit import Fit

__all__ = ["plot_ranks", "plot_trace"]

_MOST = 40


def plot_trace(fit: Fit, *, parameters: tuple[str, ...] | None = None) -> Figure:
    """Densities and traces of every chain, one row per number: chains should overlap and wander without drift.

    Args:
        fit: A fit with draws (`NUTS`; `SVI` and `Laplace` have draws but no chains to compare).
        parameters: Names, such as "judge" or "population_sd"; by default every array but the subjects', of at most
            forty numbers.

    Raises:
        DataError: A fit without draws, a parameter that it lacks, or more numbers than can be drawn.
    """
    container, names = _chosen(fit, parameters, who="plot_trace")
    return drawn_by_arviz("trace", container, names)


def plot_ranks(fit: Fit, *, parameters: tuple[str, ...] | None = None) -> Figure:
    """Ranks of every chain's draws among all chains: where chains agree they are uniform.

    ArviZ before 1.0 draws histograms, which should be flat; from 1.0 on differences of distribution functions, which
    should stay inside their band.

    Args:
        fit: A fit with draws.
        parameters: As in `plot_trace`.

    Raises:
        DataError: As `plot_trace`.

    Source: Vehtari et al. (2021), Bayesian Analysis 16, 667-718.
    """
    container, names = _chosen(fit, parameters, who="plot_ranks")
    return drawn_by_arviz("ranks", container, names)


def _chosen(fit: Fit, parameters: tuple[str, ...] | None, *, who: str) -> tuple[Any, list[str]]:
    """The draws as ArviZ's container, and the names to draw in it."""
    if fit.draws is None:
        raise DataError(f"{who}: {fit.engine} has no posterior draws: fit with NUTS()")
    sizes = {name: int(value[0, 0].size) for name, value in fit.draws.items()}
    wanted = [name for name, size in sizes.items() if size <= _MOST and name != "ability"]
    wanted = wanted if parameters is None else [parameters] if isinstance(parameters, str) else list(parameters)
    for name in wanted:
        if name not in sizes:
            raise DataError(f"{who}: the fit has no draws of {name!r}; {nearest(name, sizes)}")
    # A number that never moves, such as a fixed population, has no trace to look at.
    moving = [name for name in wanted if float(fit.draws[name].std()) > 0]
    if not moving:
        raise DataError(f"{who}: nothing among {listing(wanted)} varies")
    if (total := sum(sizes[name] for name in moving)) > _MOST and parameters is not None:
        raise DataError(f"{who}: {total} numbers are more than the {_MOST} that can be read; name fewer parameters")
    kept: list[str] = []
    for name in moving:
        if sum(sizes[other] for other in kept) + sizes[name] <= _MOST:
            kept.append(name)
    return to_arviz(fit), [name.replace(":", "_x_") for name in kept]
