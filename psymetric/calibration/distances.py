"""How far one distribution over categories is from another, and how far the truth is from a few people's labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, entr, polygamma, rel_entr

__all__ = [
    "STATISTICS",
    "Spread",
    "distances",
    "entropy",
    "entropy_moments",
    "floors",
    "spread_of_people",
]

Array = NDArray[np.float64]

STATISTICS: Final = ("total variation", "Jensen-Shannon", "Wasserstein", "squared distance", "log loss")
"""In the order of the columns of `distances`."""
_BIT: Final = float(np.log(2))
_LARGEST = 1e6
"""Total of a Dirichlet law from which shares no longer vary between units."""

_NUMBERS = 1 << 22
"""Random numbers spent on the floors, and held at once."""
_DRAWS = 50_000


def distances(people: Array, judge: Array, values: Array, uniform_share: float) -> Array:
    """Distances from the judge's distributions to the people's, shape (..., 5) in the order of `STATISTICS`.

    With p the people's shares and q the judge's: Σ|p − q|/2; Jensen-Shannon divergence in bits; Wasserstein-1 in units
    of `values`; Σ(p − q)²; the cross entropy −Σ p log₂ q̃ in bits, q̃ = (1 − s) q + s/K with s `uniform_share`, without
    which one category that the judge never gives would make it infinite.

    Args:
        people: Shares, shape (..., K).
        judge: Shares, broadcast against `people`.
        values: The K numbers of the categories, increasing.
        uniform_share: s.

    Source: Lin (1991), IEEE Transactions on Information Theory 37, 145-151 (Jensen-Shannon); Vallender (1974),
    Theory of Probability 18, 784-786 (Wasserstein on the line); Peterson et al. (2019), ICCV (cross entropy to
    people's labels).
    """
    gap = people - judge
    middle = (people + judge) / 2
    below = np.abs(np.cumsum(gap, axis=-1)[..., :-1])
    mixed = (1 - uniform_share) * judge + uniform_share / len(values)
    return np.stack(
        [
            np.sum(np.abs(gap), axis=-1) / 2,
            np.sum(rel_entr(people, middle) + rel_entr(judge, middle), axis=-1) / (2 * _BIT),
            below @ np.diff(values),
            np.sum(gap**2, axis=-1),
            -np.sum(people * np.log2(mixed), axis=-1),
        ],
        axis=-1,
    )


def entropy(shares: Array) -> Array:
    """Bits, shape (...)."""
    return np.sum(entr(shares), axis=-1) / _BIT


@final
@dataclass(frozen=True)
class Spread:
    """Dirichlet law of what share of all people would give each category, over units.

    Attributes:
        mean: Shares of all units together, shape (K,).
        total: Sum of the parameters: small where people agree on each unit, large where units are all alike. 0 where
            no two people ever disagree.
    """

    mean: Array
    total: float

    @property
    def parameters(self) -> Array:
        """Of the Dirichlet law, shape (K,)."""
        return self.total * self.mean


def spread_of_people(counts: Array) -> Spread:
    r"""The law by its moments: shares of the categories, and how often two people of one unit agree.

    Two people agree with probability $A = \sum m^2 + (1 - \sum m^2)/(\alpha_0 + 1)$ under a Dirichlet law of mean m
    and total α₀.

    Args:
        counts: People per unit and category, shape (U, K).

    Source: Mosimann (1962), Biometrika 49, 65-82.
    """
    size = counts.sum(axis=1)
    mean = (counts / size[:, None]).mean(axis=0)
    paired = size > 1
    alone = float(mean @ mean)
    pairs = np.sum(counts * (counts - 1), axis=1)[paired] / (size * (size - 1))[paired]
    if not pairs.size or 1 - alone <= 0:
        return Spread(mean, 0.0)
    excess = (float(pairs.mean()) - alone) / (1 - alone)
    return Spread(mean, _LARGEST if excess <= 1 / (_LARGEST + 1) else 1 / excess - 1)


def entropy_moments(counts: Array, spread: Spread) -> Array:
    """Posterior mean of the entropy of all people, and of its square, in bits and bits², shape (U, 2).

    Source: Wolpert & Wolf (1995), Physical Review E 52, 6841-6854, first and second moment under a Dirichlet law.
    """
    own = counts + spread.parameters
    total = own.sum(axis=1, keepdims=True)
    mean = np.sum(own / total * (digamma(total + 1) - digamma(own + 1)), axis=1)
    level, width = digamma(total + 2), polygamma(1, total + 2)
    pull = own * (digamma(own + 1) - level)
    # All pairs of categories at once, less each with itself.
    across = np.sum(pull, axis=1) ** 2 - np.sum(pull**2, axis=1)
    across = across - width[:, 0] * (total[:, 0] ** 2 - np.sum(own**2, axis=1))
    alone = np.sum(own * (own + 1) * ((digamma(own + 2) - level) ** 2 + polygamma(1, own + 2) - width), axis=1)
    square = (across + alone) / (total[:, 0] * (total[:, 0] + 1))
    return np.stack([mean / _BIT, square / _BIT**2], axis=1)


def floors(counts: Array, values: Array, uniform_share: float, rng: np.random.Generator) -> Array:
    """What a judge that states the share of all people exactly would be expected to reach, shape (U, 6).

    The columns of `distances`, then the entropy of all people in bits. With few people even the truth is far from what
    they happen to say. Every distance is a sum over categories, or over the cuts between them, so that only the law of
    one share at a time matters: a Beta law for each, which fits how often two people agree on that side of it.

    Args:
        counts: People per unit and category, shape (U, K).
        values: The K numbers of the categories.
        uniform_share: As in `distances`.
        rng: Source of the draws.
    """
    size, n_categories = counts.sum(axis=1), len(values)
    found = np.zeros((len(counts), len(STATISTICS) + 1))

    def of_category(seen: Array, truth: Array) -> Array:
        middle = (seen + truth) / 2
        mixed = (1 - uniform_share) * truth + uniform_share / n_categories
        terms = [
            np.abs(seen - truth) / 2,
            (rel_entr(seen, middle) + rel_entr(truth, middle)) / (2 * _BIT),
            np.zeros_like(truth),
            (seen - truth) ** 2,
            -seen * np.log2(mixed),
            entr(truth) / _BIT,
        ]
        return np.stack([np.mean(term, axis=1) for term in terms], axis=1)

    for column in counts.T:
        found += _over_truths(column, size, of_category, rng)
    for column, step in zip(np.cumsum(counts, axis=1).T[:-1], np.diff(values), strict=True):
        gap = _over_truths(column, size, lambda seen, truth: np.abs(seen - truth).mean(axis=1)[:, None], rng)
        found[:, 2] += step * gap[:, 0]
    return found


def _over_truths(column: Array, size: Array, means: Callable[[Array, Array], Array], rng: np.random.Generator) -> Array:
    """Posterior means over the share of all people on one side of a division, `column` of `size` being on it."""
    spread = spread_of_people(np.stack([column, size - column], axis=1))
    kinds, place = np.unique(np.stack([column, size], axis=1), axis=0, return_inverse=True)
    draws = int(np.clip(_NUMBERS // len(kinds), 200, _DRAWS))
    parts: list[Array] = []
    step = max(_NUMBERS // draws, 1)
    for start in range(0, len(kinds), step):
        on, of = kinds[start : start + step, :1], kinds[start : start + step, 1:]
        shape = (len(on), draws)
        gamma = [
            rng.standard_gamma(np.broadcast_to(many + prior, shape))
            for many, prior in zip((on, of - on), spread.parameters, strict=True)
        ]
        parts.append(means(on / of, gamma[0] / (gamma[0] + gamma[1])))
    return np.concatenate(parts)[place.reshape(-1)]
