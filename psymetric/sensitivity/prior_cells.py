"""The cells of a grid of priors: which there are, and what the posterior says in each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import final

import jax
import numpy as np
from numpy.typing import NDArray

from psymetric.core.precision import double_precision
from psymetric.data.messages import counted
from psymetric.estimation.diagnosis import diagnose
from psymetric.models.base import Table
from psymetric.models.simplex_judge import SimplexJudge
from psymetric.sensitivity.prior_density import grid_problem, stacked_spaces
from psymetric.sensitivity.prior_sampler import Chains, sample_cells
from psymetric.sensitivity.prior_whitening import whitening

__all__ = ["Cell", "Sampling", "prior_cells", "sampled"]

Array = NDArray[np.float64]
Progress = Callable[[str], None]

_TOGETHER = 8
_WORKERS = 2
_LONGER = 4
_MOVES = 60
_LARGEST_R_HAT, _LEAST_ESS = 1.05, 100.0


@final
@dataclass(frozen=True)
class Sampling:
    """How long chains are: settings of `prior_sensitivity`."""

    warmup: int
    draws: int
    chains: int
    steps: int
    seed: int


@final
@dataclass(frozen=True)
class Cell:
    """The posterior under one prior.

    Attributes:
        model: With that prior.
        means: Draws of the candidates' mean levels, shape (draws, candidates).
        accuracy: Posterior mean of the average diagonal of each judge's matrix, shape (judges,).
        r_hat: Largest of the means and accuracies.
        ess: Least effective sample size of these.
        diverging: Share of diverging steps.
    """

    model: SimplexJudge
    means: Array
    accuracy: Array
    r_hat: float
    ess: float
    diverging: float

    @property
    def usable(self) -> bool:
        """Whether the chains agree well enough for a number."""
        return self.r_hat <= _LARGEST_R_HAT and self.ess >= _LEAST_ESS


def prior_cells(model: SimplexJudge, axes: Mapping[str, Sequence[object]]) -> list[SimplexJudge]:
    """The model under every combination of settings."""
    every = itertools.product(*axes.values())
    return [replace(model, **dict(zip(axes, chosen, strict=True))) for chosen in every]  # pyright: ignore[reportArgumentType]


def sampled(
    models: list[SimplexJudge], table: Table, values: Array, shares: Array, how: Sampling, progress: Progress | None
) -> list[Cell]:
    """Sample every cell; those whose chains disagree once more, with longer steps.

    Cells with and without candidate effects have posteriors of other sizes, and a program each.
    """
    cells = _sampled(models, [*range(len(models))], table, values, shares, how, progress)
    failed = [at for at, cell in cells.items() if not cell.usable]
    if failed:
        if progress is not None:
            progress(f"{counted(len(failed), 'prior')} again, with longer steps")
        again = _sampled(models, failed, table, values, shares, replace(how, steps=_LONGER * how.steps), progress)
        cells |= {at: cell for at, cell in again.items() if cell.ess > cells[at].ess}
    return [cells[at] for at in range(len(models))]


def _sampled(
    models: list[SimplexJudge],
    chosen: list[int],
    table: Table,
    values: Array,
    shares: Array,
    how: Sampling,
    progress: Progress | None,
) -> dict[int, Cell]:
    """Sample some cells, those of one size a few at a time and all by one program."""
    kinds = [_parts([at for at in chosen if bool(models[at].candidate_sd) is kind]) for kind in (True, False)]
    # Taken in turns, so that the two programs are compiled side by side.
    parts = [part for turn in itertools.zip_longest(*kinds) for part in turn if part is not None]
    found: dict[int, Cell] = {}

    def run(part: list[int]) -> list[Cell]:
        with double_precision():
            return _sample_part([models[at] for at in part], table, values, shares, how)

    with ThreadPoolExecutor(_WORKERS) as pool:
        for part, cells in zip(parts, pool.map(run, parts), strict=True):
            # The last part is filled up, and what fills it is found twice.
            found |= dict(zip(part, cells, strict=True))
            if progress is not None:
                progress(f"{len(found)} of {counted(len(chosen), 'prior')} sampled")
    return found


def _parts(chosen: list[int]) -> list[list[int]]:
    """As few parts of one length as hold all; the last is filled up, so that it has the shape that is compiled."""
    n_parts = -(-len(chosen) // _TOGETHER)
    length = -(-len(chosen) // max(n_parts, 1))
    return [(chosen[first : first + length] * length)[:length] for first in range(0, len(chosen), max(length, 1))]


def _sample_part(models: list[SimplexJudge], table: Table, values: Array, shares: Array, how: Sampling) -> list[Cell]:
    problem = grid_problem(models[0], table)
    spaces = stacked_spaces(models, table)
    own = [jax.tree.map(lambda leaf, at=at: leaf[at], spaces) for at in range(len(models))]
    starts = [whitening(replace(problem, space=jax.device_put(space))) for space in own]
    chains = sample_cells(
        problem,
        spaces,
        starts,
        values,
        shares,
        warmup=how.warmup,
        draws=how.draws,
        chains=how.chains,
        steps=how.steps,
        sweeps=_sweeps(models[0], len(values)),
        seed=how.seed,
    )
    return [_cell(model, chains, at) for at, model in enumerate(models)]


def _sweeps(model: SimplexJudge, n_levels: int) -> int:
    """Rounds of moves along the margins per draw: none where the margins are not all there is."""
    if not model.of_counts or model.candidate_sd or model.self_preference is not None:
        return 0
    return max(_MOVES // (n_levels * (n_levels - 1)), 2)


def _cell(model: SimplexJudge, chains: Chains, at: int) -> Cell:
    means, accuracy = chains.means[at], chains.accuracy[at]
    both = np.concatenate([means, accuracy], axis=-1)
    if np.all(np.isfinite(both)):
        details = diagnose(both, 0, 0.0)[0].details
        r_hat, ess = details["r_hat"], min(details["ess_bulk"], details["ess_tail"])
    else:
        r_hat, ess = np.inf, 0.0
    r_hat, ess = (r_hat if np.isfinite(r_hat) else np.inf), (ess if np.isfinite(ess) else 0.0)
    flat = means.reshape(-1, means.shape[-1])
    return Cell(model, flat, accuracy.mean(axis=(0, 1)), float(r_hat), float(ess), float(chains.diverging[at]))
