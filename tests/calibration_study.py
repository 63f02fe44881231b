"""Simulation-based calibration: parameters from the prior, data from the parameters, ranks among posterior draws.

If priors, likelihood and sampler agree, the rank of a true value among independent posterior draws is uniform
(Talts et al., 2018). Tables that leave a category unused are drawn again: such a rule looks at the data alone, and the
posterior given the data is the same with it as without.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import binom, chisquare

import psymetric as ps

N_SUBJECTS, N_ITEMS, N_JUDGES, N_CATEGORIES = 10, 3, 3, 3
N_RANKS = 100
"""Possible ranks: one more than the posterior draws they are taken among."""
MEAN_PRIOR_SD, SCALE_PRIOR_SD = 5.0, 2.5
"""Documented priors: population mean N(0, 5²), population sd and sd of a random facet half-normal of scale 2.5."""
BINS = 20
SIGNIFICANCE = 0.001
_NULL_DRAWS = 4_000


@dataclass(frozen=True)
class Truth:
    """One draw of the prior by parameter name, centred as the model reports it."""

    values: dict[str, np.ndarray]


def centred_normal(rng: np.random.Generator, shape: tuple[int, ...], sd: float) -> np.ndarray:
    """A normal prior on the directions that sum to zero is the normal in all directions, less its mean."""
    value = rng.normal(0, sd, shape)
    return value - value.mean()


def draw_truth(model: ps.ManyFacetRasch, rng: np.random.Generator) -> Truth:
    """Parameters and abilities from the prior of a rating scale model of items and judges."""
    values: dict[str, np.ndarray] = {}
    for facet, size in (("item", N_ITEMS), ("judge", N_JUDGES)):
        sd = model.prior_sd
        if facet in model.random:
            sd = abs(rng.normal(0, SCALE_PRIOR_SD))
            values[f"{facet}_sd"] = np.array(sd)
        values[facet] = centred_normal(rng, (size,), sd)
    values["step"] = centred_normal(rng, (N_CATEGORIES - 1,), model.prior_sd)
    mean, sd = rng.normal(0, MEAN_PRIOR_SD), abs(rng.normal(0, SCALE_PRIOR_SD))
    values |= {"population_mean": np.array(mean), "population_sd": np.array(sd)}
    return Truth(values | {"ability": rng.normal(mean, sd, N_SUBJECTS)})


def draw_scores(truth: Truth, rng: np.random.Generator) -> np.ndarray:
    """Scores of every subject on every item by every judge, shape (subjects, items, judges)."""
    value = truth.values
    location = value["ability"][:, None, None] - value["item"][:, None] - value["judge"]
    logits = np.cumsum(location[..., None] - value["step"], axis=-1)
    logits = np.concatenate([np.zeros((*location.shape, 1)), logits], axis=-1)
    share = np.exp(logits - logits.max(axis=-1, keepdims=True))
    below = np.cumsum(share, axis=-1)
    return (rng.random((*location.shape, 1)) * below[..., -1:] > below).sum(axis=-1)


def simulate(model: ps.ManyFacetRasch, seed: int) -> tuple[ps.ResponseTable, Truth]:
    """A truth and its table.

    The table lists every category of every cell, with weight one where it was given and zero elsewhere: arrays then
    have one shape whatever was answered, and the sampler is compiled once.
    """
    rng = np.random.default_rng(seed)
    while True:
        truth = draw_truth(model, rng)
        scores = draw_scores(truth, rng)
        if len(np.unique(scores)) == N_CATEGORIES:
            break
    cells = np.indices((*scores.shape, N_CATEGORIES)).reshape(4, -1)
    frame = pd.DataFrame(cells.T, columns=["subject", "item", "judge", "rating"])
    frame["given"] = (frame["rating"] == np.repeat(scores.ravel(), N_CATEGORIES)).astype(float)
    table = ps.ResponseTable.from_frame(
        frame, response="rating", subject="subject", item="item", facets=("judge",), weight="given"
    )
    return table, truth


def rank(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How many of `N_RANKS - 1` draws, spread over all of them, lie below the truth; of the truth's shape."""
    flat = draws.reshape(-1, *truth.shape)
    kept = flat[np.linspace(0, len(flat) - 1, N_RANKS - 1).astype(int)]
    return (kept < truth).sum(axis=0)


@dataclass
class Ranks:
    """Ranks by quantity, one per replication.

    Attributes:
        narrow: Ranks among draws pulled towards their mean by a third: what an overconfident sampler would give.
    """

    honest: dict[str, list[int]] = field(default_factory=dict)
    narrow: dict[str, list[int]] = field(default_factory=dict)

    def add(self, fit: ps.Fit, truth: Truth) -> None:
        """Rank one replication's truth."""
        for name, value in truth.values.items():
            draws = np.asarray(fit.draws[name]).reshape(-1, *value.shape)
            value = value.reshape(-1)[:1]
            draws = draws.reshape(len(draws), -1)[:, :1]
            centre = draws.mean(axis=0)
            self.honest.setdefault(name, []).append(int(rank(draws, value)[0]))
            self.narrow.setdefault(name, []).append(int(rank(centre + 2 / 3 * (draws - centre), value)[0]))


def replicate(model: ps.ManyFacetRasch, engine: object, seeds: Iterable[int]) -> Ranks:
    """Simulate, fit and rank; the first level stands for its facet, since levels of one facet share their prior."""
    ranks = Ranks()
    for seed in seeds:
        table, truth = simulate(model, seed)
        ranks.add(ps.fit(model, table, engine=engine, throw=False), truth)
    return ranks


def chi_square(ranks: list[int]) -> float:
    """p of equal counts in `BINS` bins of ranks."""
    counts = np.bincount(np.asarray(ranks) * BINS // N_RANKS, minlength=BINS)
    return float(chisquare(counts).pvalue)


def _extremity(ranks: np.ndarray) -> np.ndarray:
    """Smallest pointwise two-sided p of the ranks' distribution function, by row of shape (studies, replications)."""
    n_replications = ranks.shape[1]
    at = np.arange(1, N_RANKS)
    below = np.stack([(ranks < place).sum(axis=1) for place in at], axis=1)
    lower = binom.cdf(below, n_replications, at / N_RANKS)
    upper = binom.sf(below - 1, n_replications, at / N_RANKS)
    return 2 * np.minimum(lower, upper).min(axis=1)


def distribution_function(ranks: list[int]) -> float:
    """p of the ranks' distribution function staying in a band that holds at all ranks at once.

    Source: Säilynoja, Bürkner & Vehtari (2022), Statistics and Computing 32, 32: the band is set by the smallest
    pointwise p, whose distribution under uniform ranks is simulated.
    """
    found = _extremity(np.asarray(ranks)[None])[0]
    return float((1 + np.sum(_under_uniformity(len(ranks)) <= found)) / (1 + _NULL_DRAWS))


@cache
def _under_uniformity(n_replications: int) -> np.ndarray:
    return _extremity(np.random.default_rng(0).integers(0, N_RANKS, (_NULL_DRAWS, n_replications)))


def row(model: str, name: str, ranks: list[int]) -> dict[str, object]:
    """The line of a validation table."""
    return {
        "model": model,
        "parameter": name,
        "data sets": len(ranks),
        "mean rank, share": f"{(np.mean(ranks) + 0.5) / N_RANKS:.3f}",
        "inside 50%": f"{np.mean([N_RANKS / 4 <= r < 3 * N_RANKS / 4 for r in ranks]):.3f}",
        "inside 90%": f"{np.mean([N_RANKS / 20 <= r < 19 * N_RANKS / 20 for r in ranks]):.3f}",
        "χ² p": f"{chi_square(ranks):.3f}",
        "ECDF band p": f"{distribution_function(ranks):.3f}",
    }
