"""Simulation-based calibration: parameters from the prior, data from the parameters, ranks among posterior draws.

If priors, likelihood and sampler agree, the rank of a true value among independent posterior draws is uniform
(Talts et al., 2018). Tables in which some step has nothing to say of itself, as a category was never used, are drawn
again: such a rule looks at the data alone, and the posterior given the data is the same with it as without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from calibration_cases import Design
from calibration_mixtures import log_likelihoods, without_labels
from calibration_rankings import ranking_log_probs
from calibration_tables import cells, draw_scores, table_of, uses_all_categories
from calibration_truth import Values, draw_truth
from scipy.stats import binom, norm

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.estimation import grids, nested, window_places
from psymetric.models.base import Table
from psymetric.models.nested import AbstractNestedModel

Check = tuple[str, str, str]
"""Model, quantity and kind of check."""
Checks = Mapping[Check, float]
N_RANKS = 20
"""Possible ranks: one more than the posterior draws they are taken among."""
BINS = 20
LOG_LIKELIHOOD = "log-likelihood"
"""Of the responses, given parameters and abilities: it is ranked as well, as it depends on all of them together
(Modrák et al., 2025)."""
FAMILY = 0.01
"""Chance that calibrated models fail any check."""
_NULL_DRAWS = 200_000
_MOST_TABLES = 10_000
_FRESH = 1_000
"""Seed from which data sets are drawn when a model is run again."""


@contextmanager
def one_grid(design: Design) -> Iterator[None]:
    """One number of nodes for all data sets, so that the sampler is compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "_GRIDS", (design.nodes,))
        patch.setattr(nested, "_GRIDS", (design.latent_nodes,))
        patch.setattr(window_places, "_NODES", (design.nodes,))
        patch.setattr(window_places, "_MOST_NODES", {2: design.nodes})
        yield


def _stream(design: Design, seed: int, purpose: int) -> np.random.Generator:
    """Random numbers that models do not share: equal draws of what they have in common would fail together."""
    return np.random.default_rng([seed, purpose, crc32(repr(design.model).encode())])


def simulate(design: Design, seed: int) -> tuple[Table, Values, np.ndarray]:
    """A table, the truth behind it and its scores by cell."""
    rng = _stream(design, seed, 0)
    labelled = {name: value.max() + 1 for name, (_, value) in design.columns.items() if value.dtype == int}
    sizes = {**design.sizes, **labelled, "step": design.n_categories - 1, "tie_order": 2}
    columns = {name: value for name, (_, value) in design.columns.items()}
    for _ in range(_MOST_TABLES):
        truth = draw_truth(design.model, sizes, columns, rng)
        scores = draw_scores(design, truth, rng)
        if uses_all_categories(design, scores):
            return table_of(design, scores), truth, scores
    raise AssertionError(f"{design.model}: no table uses all categories")


def _spread(flat: np.ndarray) -> np.ndarray:
    """`N_RANKS - 1` of the draws, as far apart as they go."""
    return flat[np.linspace(0, len(flat) - 1, N_RANKS - 1).astype(int)]


def _rank(draws: np.ndarray, truth: float) -> int:
    return int((_spread(draws) < truth).sum())


@dataclass
class Ranks:
    """Ranks by quantity, one per replication.

    Attributes:
        narrow: Ranks among draws pulled towards their mean by a third: what an overconfident sampler would give.
        effective: Smallest bulk effective sample size of each fit.
    """

    honest: dict[str, list[int]] = field(default_factory=dict)
    narrow: dict[str, list[int]] = field(default_factory=dict)
    effective: list[float] = field(default_factory=list)

    def add(self, fit: ps.Fit, truth: Mapping[str, np.ndarray], rng: np.random.Generator) -> None:
        """Rank one replication's truth, of arrays one level drawn by lot: levels of one array share their prior."""
        self.effective.append(fit.status.details["ess_bulk"])
        drawn = {name: np.asarray(fit.draws[name]) for name in truth}
        if isinstance(fit.model, ps.JudgeMixture):
            drawn, truth = without_labels(drawn), without_labels(truth)
        for name, value in truth.items():
            draws = drawn[name]
            draws = draws.reshape(draws.shape[0] * draws.shape[1], -1)
            # Values that the model knows have no rank.
            unknown = np.flatnonzero(np.ptp(draws, axis=0) > 1e-9)
            if len(unknown):
                place = rng.choice(unknown)
                self._count(name, draws[:, place], float(value.ravel()[place]))

    def add_log_likelihood(self, design: Design, fit: ps.Fit, truth: Values, scores: np.ndarray) -> None:
        """Rank that of the truth; models whose second latent variable is integrated out do not draw it."""
        if isinstance(design.model, AbstractNestedModel):
            return
        kept = {name: _spread(np.asarray(fit.draws[name]).reshape(-1, *value.shape)) for name, value in truth.items()}
        joined = {name: np.concatenate([kept[name], truth[name][None]]) for name in truth}
        found = np.asarray(_log_likelihood(design)(joined, cells(design), scores))
        self._count(LOG_LIKELIHOOD, found[:-1], found[-1])

    def _count(self, name: str, draws: np.ndarray, value: float) -> None:
        centre = draws.mean()
        self.honest.setdefault(name, []).append(_rank(draws, value))
        self.narrow.setdefault(name, []).append(_rank(centre + 2 / 3 * (draws - centre), value))


@cache
def _log_likelihood(design: Design) -> object:
    if isinstance(design.model, ps.JudgeMixture):
        return log_likelihoods

    def of_one(params: Values, codes: Values, scores: np.ndarray) -> jax.Array:
        if design.model.table_kind == "rankings":
            return jnp.sum(scores * ranking_log_probs(design)(params))
        log_probs = design.model.category_log_probs(params, codes, design.n_categories)
        return jnp.sum(jnp.take_along_axis(log_probs, scores[:, None], axis=1))

    return jax.jit(jax.vmap(of_one, in_axes=(0, None, None)))


def replicate(design: Design, engine: ps.NUTS, seeds: Iterable[int]) -> Ranks:
    """Simulate, fit and rank."""
    ranks = Ranks()
    with one_grid(design), double_precision():
        for seed in seeds:
            table, truth, scores = simulate(design, seed)
            rng = _stream(design, seed, 1)
            # With one seed all data sets would be ranked among draws at the same quantiles.
            own = replace(engine, seed=int(rng.integers(2**31)))
            ranks.add(fit := ps.fit(design.model, table, engine=own, throw=False), truth, rng)
            ranks.add_log_likelihood(design, fit, truth, scores)
    return ranks


def chi_square(ranks: list[int]) -> float:
    """p of equal counts in `BINS` bins of ranks, simulated: a few counts per bin are too few for χ²."""
    found = _unevenness(np.asarray(ranks)[None])[0]
    return float((1 + np.sum(_under_uniformity(_unevenness, len(ranks)) >= found)) / (1 + _NULL_DRAWS))


def _unevenness(ranks: np.ndarray) -> np.ndarray:
    """Sum of squared counts, by row of shape (studies, replications): Pearson's statistic but for constants."""
    places = ranks * BINS // N_RANKS + BINS * np.arange(len(ranks))[:, None]
    counts = np.bincount(places.ravel(), minlength=BINS * len(ranks)).reshape(-1, BINS)
    return (counts**2).sum(axis=1)


def _extremity(ranks: np.ndarray) -> np.ndarray:
    """Smallest pointwise two-sided p of the ranks' distribution function, by row of shape (studies, replications)."""
    n_replications = ranks.shape[1]
    at = np.arange(1, N_RANKS) / N_RANKS
    counts = np.arange(n_replications + 1)[:, None]
    pointwise = 2 * np.minimum(binom.cdf(counts, n_replications, at), binom.sf(counts - 1, n_replications, at))
    below = np.stack([(ranks < place).sum(axis=1) for place in range(1, N_RANKS)], axis=1)
    return pointwise[below, np.arange(N_RANKS - 1)].min(axis=1)


def distribution_function(ranks: list[int]) -> float:
    """p of the ranks' distribution function staying in a band that holds at all ranks at once.

    Source: Säilynoja, Bürkner & Vehtari (2022), Statistics and Computing 32, 32: the band is set by the smallest
    pointwise p, whose distribution under uniform ranks is simulated.
    """
    found = _extremity(np.asarray(ranks)[None])[0]
    return float((1 + np.sum(_under_uniformity(_extremity, len(ranks)) <= found)) / (1 + _NULL_DRAWS))


@cache
def _under_uniformity(statistic: Callable[[np.ndarray], np.ndarray], n_replications: int) -> np.ndarray:
    rng, studies = np.random.default_rng(0), 2_000
    return np.concatenate(
        [statistic(rng.integers(0, N_RANKS, (studies, n_replications))) for _ in range(_NULL_DRAWS // studies)]
    )


def dispersion(ranks: Mapping[str, list[int]]) -> float:
    """p of the mean squared distance from the middle rank over all quantities of a model.

    Its expectation is that of uniform ranks; its error comes from the data sets, which are independent where the
    quantities of one are not. An overconfident sampler shows in all quantities a little, and here at once.
    """
    away = np.mean([(np.asarray(found) - (N_RANKS - 1) / 2) ** 2 for found in ranks.values()], axis=0)
    error = away.std(ddof=1) / np.sqrt(len(away))
    return float(2 * norm.sf(abs(away.mean() - (N_RANKS**2 - 1) / 12) / error))


def row(model: str, name: str, ranks: list[int]) -> dict[str, object]:
    """The line of a validation table."""
    return {
        "model": model,
        "quantity": name,
        "data sets": len(ranks),
        "mean rank, share": f"{(np.mean(ranks) + 0.5) / N_RANKS:.3f}",
        "inside 50%": f"{np.mean([N_RANKS / 4 <= r < 3 * N_RANKS / 4 for r in ranks]):.3f}",
        "inside 90%": f"{np.mean([N_RANKS / 20 <= r < 19 * N_RANKS / 20 for r in ranks]):.3f}",
        "χ² p": f"{chi_square(ranks):.2g}",
        "ECDF band p": f"{distribution_function(ranks):.2g}",
    }


def p_values(studies: Mapping[str, Mapping[str, list[int]]]) -> dict[Check, float]:
    """Of every check, by model, quantity and kind of check."""
    found: dict[Check, float] = {}
    for model, ranks in studies.items():
        for name, of_name in ranks.items():
            found[model, name, "χ²"] = chi_square(of_name)
            found[model, name, "ECDF band"] = distribution_function(of_name)
        found[model, "all", "dispersion"] = dispersion(ranks)
    return found


def run_again(designs: Mapping[str, Design], engine: ps.NUTS, checks: Checks, n_models: int) -> dict[Check, float]:
    """All checks, on fresh data sets, of the models that have the smallest p."""
    worst = [*dict.fromkeys(model for model, _, _ in sorted(checks, key=lambda check: checks[check]))][:n_models]
    fresh = {label: range(_FRESH, _FRESH + designs[label].n) for label in worst}
    return p_values({label: replicate(designs[label], engine, seeds).honest for label, seeds in fresh.items()})


def too_small(found: Checks) -> dict[Check, float]:
    """Checks that fail: by Bonferroni's rule, one family of calibrated models in 1 / `FAMILY` has any."""
    return {check: p for check, p in found.items() if p < FAMILY / len(found)}
