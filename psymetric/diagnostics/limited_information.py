"""Model fit by limited information: are means and pairwise associations what the model says?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array as JaxArray
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, qr, solve_triangular, svd
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

from psymetric.core.precision import double_precision
from psymetric.data.responses import ResponseTable
from psymetric.diagnostics.complete import CompleteResponses, complete_responses
from psymetric.diagnostics.margins import Margins, covariance, margins
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit
from psymetric.estimation.problems import MarginalProblem, marginal_problem

__all__ = ["LimitedInformation", "limited_information"]

Array = NDArray[np.float64]
Statistic = Literal["C2", "M2*", "M2"]

_WHO = "limited_information"
_NODES, _HALF_WIDTH = 241, 8.0
_MOST_MARGINS = 5_000
_RANK = 1e-9
"""Singular values of the margins' derivatives below this share of the largest are zero: no margin moves."""
_INTERVAL = 0.90
"""Coverage of the interval of RMSEA, by convention: its lower end above a bound is a test of close fit at .05."""


@final
@dataclass(frozen=True)
class LimitedInformation:
    """A test of model fit on univariate and bivariate margins.

    Attributes:
        statistic: "C2", "M2*" or "M2".
        value: The statistic, chi-square with `df` degrees of freedom under the model.
        df: Margins minus free parameters that move them.
        p: Upper tail.
        rmsea: √(max(value − df, 0) / (df (N − 1))): misfit per degree of freedom, whatever the sample size.
        rmsea_interval: Its 90 % interval.
        srmsr: Root mean square of observed minus expected correlations of scores.
        n_subjects: N.
        pairs: One row per pair of variables: first, second (labels), observed, expected (correlations of scores),
            residual; the largest residual first.
    """

    statistic: Statistic
    value: float
    df: int
    p: float
    rmsea: float
    rmsea_interval: tuple[float, float]
    srmsr: float
    n_subjects: int
    pairs: pd.DataFrame


def limited_information(fit: Fit, table: ResponseTable, *, statistic: Statistic = "C2") -> LimitedInformation:
    r"""Overall fit of a response model from its univariate and bivariate margins.

    With p the observed margins, π the model's, Ξ the covariance of √N (p − π) and Δ the derivatives of π by the free
    parameters, the statistic is
    $N (p-\pi)' (\Xi^{-1} - \Xi^{-1}\Delta(\Delta'\Xi^{-1}\Delta)^{-1}\Delta'\Xi^{-1}) (p-\pi)$. The full table of
    response patterns is nearly empty beyond a few items, so that its chi-square has no known distribution; margins of
    one and two variables are not.

    | statistic | margins | for |
    |---|---|---|
    | `C2` | categories of each variable, product moment of each pair | few ordered categories |
    | `M2*` | mean of each variable, product moment of each pair | many ordered categories and many variables |
    | `M2` | categories of each variable and of each pair | every departure, with much larger samples |

    With two categories all three are the same. The variables are the items, or the combinations of the model's facets
    where every subject met all of them; the test does not exist with missing responses, or when a subject has several
    responses that the model does not tell apart.

    Args:
        fit: A fit by `MarginalML` without random facets.
        table: The table that was fitted: complete, without weights.
        statistic: Which margins.

    Returns:
        The statistic with df, p, RMSEA and its interval, SRMSR, and the correlations behind it.

    Raises:
        DataError: The fit, the table or the design does not allow the test; no degrees of freedom are left; margins
            that determine one another.

    Source: Maydeu-Olivares & Joe (2006), Psychometrika 71, 713-732, eq. 8 (M2); Cai & Hansen (2013), British Journal
    of Mathematical and Statistical Psychology 66, 245-276 (M2*); Monroe & Cai (2015), Multivariate Behavioral Research
    50, 569-583 (C2); RMSEA, SRMSR: Maydeu-Olivares & Joe (2014), Multivariate Behavioral Research 49, 305-328.
    """
    if statistic not in get_args(Statistic):
        raise DataError(f"{_WHO}: statistic={statistic!r} is not one of {list(get_args(Statistic))}")
    data = complete_responses(fit, table, who=_WHO)
    chosen = margins(data.response, data.n_categories, product=statistic != "M2", means=statistic == "M2*")
    if chosen.n_margins > _MOST_MARGINS:
        raise DataError(
            f"{_WHO}: {statistic} has {chosen.n_margins:,} margins here, more than {_MOST_MARGINS:,}: "
            'use statistic="C2" or "M2*", or fewer items'
        )
    with double_precision():
        problem = marginal_problem(fit.model, table, prior=False, n_nodes=_NODES, half_width=_HALF_WIDTH)
        free = jax.device_put(problem.space.unconstrain(fit.parameters))
        probability, derivative = (np.asarray(part) for part in _expand(problem, free, chosen))
    weight = np.exp(np.asarray(problem.log_weights))
    value, df = _quadratic(chosen, data, probability, weight, derivative, statistic)
    n_subjects = len(data.response)
    pairs = _pairs(data, probability, weight)
    return LimitedInformation(
        statistic=statistic,
        value=value,
        df=df,
        p=float(chi2.sf(value, df)),
        rmsea=float(np.sqrt(max(value - df, 0.0) / (df * (n_subjects - 1)))),
        rmsea_interval=_rmsea_interval(value, df, n_subjects),
        srmsr=float(np.sqrt(np.mean(pairs["residual"] ** 2))),
        n_subjects=n_subjects,
        pairs=pairs,
    )


@jax.jit
def _expand(problem: MarginalProblem, free: JaxArray, chosen: Margins) -> tuple[JaxArray, JaxArray]:
    """Category probabilities at the nodes, shape (V, K, nodes), and derivatives of the margins, shape (free, m)."""

    def conditional(point: JaxArray) -> JaxArray:
        table = problem.table(problem.space.constrain(point))
        return jnp.exp(table).reshape(-1, problem.n_categories, problem.nodes.shape[0])

    def expected(point: JaxArray) -> JaxArray:
        return chosen.given(conditional(point)) @ jnp.exp(problem.log_weights)

    # One direction at a time: all at once would hold parameters × margins × nodes numbers.
    push: Any = jax.linearize(expected, free)[1]
    return conditional(free), jax.lax.map(push, jnp.eye(free.shape[0], dtype=free.dtype))


def _quadratic(
    chosen: Margins, data: CompleteResponses, probability: Array, weight: Array, derivative: Array, statistic: str
) -> tuple[float, int]:
    """The statistic and its degrees of freedom."""
    _, singular, directions = svd(derivative, full_matrices=False)
    directions = directions[singular > _RANK * singular.max()]
    df = chosen.n_margins - len(directions)
    if df <= 0:
        other = "" if statistic == "M2" else ', or a statistic with more margins ("C2", "M2")'
        raise DataError(
            f"{_WHO}: {statistic} has {chosen.n_margins} margins and the model {len(directions)} parameters that move "
            f"them, which leaves nothing to test: use more items{other}"
        )
    expected = np.asarray(chosen.given(probability)) @ weight
    try:
        root = cholesky(covariance(chosen, probability, weight), lower=True)
    except LinAlgError as error:
        raise DataError(
            f"{_WHO}: margins of {statistic} determine one another at these estimates: leave out items that hardly "
            "anybody, or nearly everybody, gets right"
        ) from error
    apart = solve_triangular(root, chosen.observed(data.response) - expected, lower=True)
    explained = qr(solve_triangular(root, directions.T, lower=True), mode="economic")[0]
    apart = apart - explained @ (explained.T @ apart)
    return float(len(data.response) * (apart @ apart)), df


def _rmsea_interval(value: float, df: int, n_subjects: int) -> tuple[float, float]:
    """From the noncentralities under which the value is at either end of its distribution."""

    def end(probability: float) -> float:
        def beyond(noncentrality: float) -> float:
            return float(ncx2.cdf(value, df, noncentrality) if noncentrality else chi2.cdf(value, df)) - probability

        if beyond(0.0) <= 0:
            return 0.0
        high = max(2 * value, 10.0)
        while beyond(high) > 0:
            high *= 2
        return float(np.sqrt(brentq(beyond, 0.0, high, xtol=1e-10) / (df * (n_subjects - 1))))

    tail = (1 - _INTERVAL) / 2
    return end(1 - tail), end(tail)


def _pairs(data: CompleteResponses, probability: Array, weight: Array) -> pd.DataFrame:
    """Observed and expected correlations of the scores of every two variables."""
    score = np.arange(data.n_categories)
    given = np.einsum("k,vkq->vq", score, probability)
    mean = given @ weight
    product = (given * weight) @ given.T - np.outer(mean, mean)
    np.fill_diagonal(product, np.einsum("k,vkq,q->v", score**2, probability, weight) - mean**2)
    sd = np.sqrt(np.diag(product))
    first, second = np.triu_indices(len(mean), k=1)
    observed = np.atleast_2d(np.corrcoef(data.response, rowvar=False))[first, second]
    expected = (product / np.outer(sd, sd))[first, second]
    labels = np.array(data.labels, object)
    frame = pd.DataFrame(
        {
            "first": labels[first],
            "second": labels[second],
            "observed": observed,
            "expected": expected,
            "residual": observed - expected,
        }
    )
    return frame.sort_values("residual", key=np.abs, ascending=False, kind="stable", ignore_index=True)
