"""The highest maximum of a mixture of judges: EM from many starts, the best one climbed to its top."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.sparse import csr_array

from psymetric.core.gather_sum import GatherSum
from psymetric.core.optimizers import Maximum
from psymetric.core.parameters import ParameterSpace
from psymetric.estimation.cells import distinct_cells
from psymetric.estimation.curvature import Information
from psymetric.estimation.identification import check_curvature
from psymetric.estimation.marginal import Climb, climb
from psymetric.estimation.mixtures import JudgeSums, MixtureProblem, centred_log_odds, own_places, permuted
from psymetric.estimation.problems import joint_problem
from psymetric.models.base import Table
from psymetric.models.judge_mixture import SHARE, JudgeMixture
from psymetric.models.space import parameter_space

__all__ = ["MixtureMode", "judge_sums", "mixture_mode", "mixture_problem"]

Vector = NDArray[np.float64]

_RUNS = 20
"""EM runs behind one start of an engine."""
_DISPERSION = 1.0
"""Logits by which the classes of a start differ from the worths of all judges."""
_ROUNDS, _GAIN = 200, 1e-4
"""Most rounds of EM, and the gain in log density in a round under which a run has ended."""
_ALIKE = 0.1
"""Log density by which two ends of EM may differ and be one maximum, or its mirror image: EM creeps at the end."""
_SMALLEST_STEP = 1e-3


@final
@dataclass(frozen=True)
class MixtureMode:
    """The best maximum found, its classes in order of their shares.

    Attributes:
        problem: The problem.
        maximum: Mode and curvature.
        details: For `FitStatus`: EM runs, how many reached the best, and the spread of their ends in log density.
        notes: What a reader must know, as sentences.
    """

    problem: MixtureProblem
    maximum: Maximum[Information]
    details: dict[str, float]
    notes: tuple[str, ...]


def judge_sums(model: JudgeMixture, table: Table) -> JudgeSums:
    """What the likelihood reads of a table; equal comparisons by one judge are counted, not repeated."""
    cells, cell = distinct_cells(model.model, table)
    n_cells, n_outcomes = len(next(iter(cells.values()))), model.n_outcomes(len(table.categories))
    entries = (table.codes[model.over], cell * n_outcomes + table.response)
    counts = csr_array((table.weight, entries), shape=(len(table.levels[model.over]), n_cells * n_outcomes))
    return JudgeSums(model, jax.device_put(cells), GatherSum.build(counts), n_outcomes)


def mixture_problem(model: JudgeMixture, table: Table, *, prior: bool) -> MixtureProblem:
    """Set up the likelihood of a mixture of judges."""
    return MixtureProblem(parameter_space(model, table, ability="free"), judge_sums(model, table), prior)


def mixture_mode(
    model: JudgeMixture,
    table: Table,
    *,
    prior: bool,
    tolerance: float,
    max_iterations: int,
    starts: int = 1,
    seed: int = 0,
) -> MixtureMode:
    """Find the highest of the maxima that EM leads to, and climb to its top.

    EM starts where the classes have the worths of all judges, moved at random. Its steps in the worths are Newton's for
    the expected log-likelihood of complete data, with the curvature of all judges in proportion to the class's share.

    Args:
        model: The mixture.
        table: Comparisons.
        prior: Add the priors (MAP) or not (maximum likelihood).
        tolerance: Largest last Newton step, in logits.
        max_iterations: Cap on quasi-Newton iterations, and on Newton steps.
        starts: EM is run from 20 points for each of them.
        seed: Seed of these points.

    Raises:
        IdentificationError: Not even the worths of all judges together have a maximum.

    Source: Dempster, Laird & Rubin (1977), JRSS B 39, 1-38; one Newton step in each round: Lange (1995), JRSS B 57,
    425-437; several short runs: Biernacki, Celeux & Govaert (2003), Comp. Stat. & Data Analysis 41, 561-575.
    """
    problem = mixture_problem(model, table, prior=prior)
    own = joint_problem(model.model, table, prior=prior)
    pooled = climb(own, own.space.start(), tolerance=tolerance, max_iterations=max_iterations)
    check_curvature(model.model, pooled, own.space, np.ones(own.space.size, bool), table)
    if model.classes == 1:
        found = climb(problem, pooled.point, tolerance=tolerance, max_iterations=max_iterations)
        return MixtureMode(problem, found, {}, ())
    ends, heights, rounds = _em(problem, pooled, prior_precision(own.space, prior=prior), _RUNS * starts, seed)
    reached = heights >= heights.max() - _ALIKE
    best = _sorted(problem, ends[int(np.argmax(heights))])
    active = np.ones(len(best), bool)
    near, evaluations = Climb(problem, best, active).ascend(max_iterations)
    found = _top(problem, near, tolerance, evaluations + rounds, max_iterations)
    details = {
        "starts": float(len(heights)),
        "starts_at_best": float(reached.sum()),
        "spread_of_maxima": float(np.ptp(heights)),
    }
    return MixtureMode(problem, found, details, tuple(_notes(model, table, reached, heights)))


def prior_precision(space: ParameterSpace, *, prior: bool) -> Vector:
    """Curvature that normal priors add to each free parameter, shape (size,); zeros without them."""
    parts = [np.full(block.bijector.size, 1 / block.prior_sd**2) for block in space.blocks]
    return prior * np.concatenate(parts)


def _top(
    problem: MixtureProblem, near: Vector, tolerance: float, evaluations: int, max_iterations: int
) -> Maximum[Information]:
    """The maximum next to a point, classes in order of their shares there too."""
    active = np.ones(len(near), bool)
    found = Climb(problem, _sorted(problem, near), active).polish(tolerance, evaluations, max_iterations)
    ordered = _sorted(problem, found.point)
    if np.array_equal(ordered, found.point):
        return found
    return Climb(problem, ordered, active).polish(tolerance, found.iterations, max_iterations)


def _sorted(problem: MixtureProblem, point: Vector) -> Vector:
    """The same mixture, its largest class first."""
    order = np.argsort(-centred_log_odds(problem.space, point[None]), axis=1, kind="stable")
    if np.array_equal(order[0], np.arange(order.shape[1])):
        return point
    return permuted(problem.space, point[None], order)[0]


def _em(
    problem: MixtureProblem, pooled: Maximum[Information], precision: Vector, runs: int, seed: int
) -> tuple[Vector, Vector, int]:
    """Ends of EM runs, shape (runs, size), their log density, shape (runs,), and rounds made."""
    own, rng = own_places(problem.space), np.random.default_rng(seed)
    starts = np.zeros((runs, problem.space.size))
    starts[:, own] = pooled.point + _DISPERSION * rng.standard_normal((runs, *own.shape))
    likelihood = pooled.curvature.schur - np.diag(precision)
    ends, heights, rounds = _rounds(
        problem, jax.device_put(starts), jax.device_put(own), jax.device_put(likelihood), jax.device_put(precision)
    )
    return np.asarray(ends), np.asarray(heights), int(rounds)


class _Runs(NamedTuple):
    """Where EM runs are: free vectors, log density and its gradient, step lengths, last gains, and rounds made."""

    point: Array
    value: Array
    gradient: Array
    length: Array
    gain: Array
    rounds: Array


@jax.jit
def _rounds(
    problem: MixtureProblem, starts: Array, own: Array, likelihood: Array, precision: Array
) -> tuple[Array, Array, Array]:
    """EM until no run gains any more. A step that would lose density is not taken, and the next one is shorter."""
    direction = jax.vmap(partial(_direction, problem, own, likelihood, precision))

    def evaluate(points: Array) -> tuple[Array, Array]:
        values, back = jax.vjp(problem.log_densities, points)
        return values, back(jnp.ones_like(values))[0]

    def again(state: _Runs) -> Array:
        return jnp.any(state.gain > _GAIN) & (state.rounds < _ROUNDS)

    def advance(state: _Runs) -> _Runs:
        ahead = state.point + state.length[:, None] * direction(state.point, state.gradient)
        value, gradient = evaluate(ahead)
        better = value > state.value
        length = jnp.where(better, jnp.minimum(2 * state.length, 1.0), state.length / 4)
        return _Runs(
            point=jnp.where(better[:, None], ahead, state.point),
            value=jnp.where(better, value, state.value),
            gradient=jnp.where(better[:, None], gradient, state.gradient),
            length=length,
            gain=jnp.where(better, value - state.value, jnp.where(length > _SMALLEST_STEP, jnp.inf, 0.0)),
            rounds=state.rounds + 1,
        )

    value, gradient = evaluate(starts)
    ones = jnp.ones_like(value)
    first = _Runs(starts, value, gradient, ones, jnp.inf * ones, jnp.zeros((), jnp.int32))
    end: Any = jax.lax.while_loop(again, advance, first)
    return end.point, end.value, end.rounds


def _direction(
    problem: MixtureProblem, own: Array, likelihood: Array, precision: Array, point: Array, gradient: Array
) -> Array:
    """EM's step from a free vector: by Fisher's identity the gradient is that of the expected complete data."""
    place = problem.space.slices()[SHARE]
    shares = problem.model.shares(problem.space.constrain(point))
    information = shares[:, None, None] * likelihood + jnp.diag(precision)
    step = jnp.zeros_like(point).at[own].set(jnp.linalg.solve(information, gradient[own][..., None])[..., 0])
    # Of log shares: what EM's mean posteriors over the shares are to first order.
    n_judges = problem.sums.judges.shape[0]
    basis = problem.space.blocks[[block.name for block in problem.space.blocks].index(SHARE)].bijector
    outward = jax.jacfwd(lambda free: jnp.log(basis.forward(free)))(point[place])
    return step.at[place].set(jnp.linalg.solve(n_judges * outward.T @ (shares[:, None] * outward), gradient[place]))


def _notes(model: JudgeMixture, table: Table, reached: NDArray[np.bool_], heights: Vector) -> list[str]:
    made = np.bincount(table.codes[model.over], table.weight, len(table.levels[model.over]))
    notes: list[str] = []
    if not reached.all():
        notes.append(
            f"the surface has several maxima: {int(reached.sum())} of {len(reached)} EM runs reached the best, the "
            f"lowest ended {np.ptp(heights):.1f} below it in log density; more starts might find a better one still"
        )
    if n_single := int(np.count_nonzero((made > 0) & (made <= 1))):
        notes.append(
            f"{n_single} of {np.count_nonzero(made)} levels of {model.over!r} made one comparison only, which tells "
            "next to nothing of their class"
        )
    return notes
