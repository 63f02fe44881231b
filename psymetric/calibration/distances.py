"""How far one distribution over categories is from another, and how far the truth is from a few people's labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, entr, rel_entr

__all__ = [
    "STATISTICS",
    "Spread",
    "distances",
    "entropy",
    "expected_entropy",
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
_DRAWS = 20_000


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


def expected_entropy(counts: Array, spread: Spread) -> Array:
    """Posterior mean of the entropy of all people, in bits, shape (U,); the entropy of few labels is too low.

    Source: Wolpert & Wolf (1995), Physical Review E 52, 6841-6854, equation of the first moment.
    """
    parameters = np.where(counts + spread.parameters > 0, counts + spread.parameters, 0.0)
    total = parameters.sum(axis=1, keepdims=True)
    inner = np.sum(parameters / total * digamma(parameters + 1), axis=1)
    return (digamma(total[:, 0] + 1) - inner) / _BIT


def floors(counts: Array, spread: Spread, values: Array, uniform_share: float, rng: np.random.Generator) -> Array:
    """What a judge that states the share of all people exactly would be expected to reach, shape (U, 6).

    The columns of `distances`, then the mean square of the true entropy in bits².

    The distance between the shares seen and shares drawn given them, averaged over draws: with few people even the
    truth is far from what they happen to say. Units with the same counts share their draws.

    Args:
        counts: People per unit and category, shape (U, K).
        spread: From `spread_of_people`.
        values: The K numbers of the categories.
        uniform_share: As in `distances`.
        rng: Source of the draws.
    """
    patterns, place = np.unique(counts, axis=0, return_inverse=True)
    draws = int(np.clip(_NUMBERS // patterns.size, 20, _DRAWS))
    found = np.empty((len(patterns), len(STATISTICS) + 1))
    step = max(_NUMBERS // (draws * patterns.shape[1]), 1)
    for start in range(0, len(patterns), step):
        part = patterns[start : start + step, None, :]
        gamma = rng.standard_gamma(np.broadcast_to(part + spread.parameters, (len(part), draws, part.shape[2])))
        truth = gamma / gamma.sum(axis=2, keepdims=True)
        seen = part / part.sum(axis=2, keepdims=True)
        found[start : start + step, :-1] = distances(seen, truth, values, uniform_share).mean(axis=1)
        found[start : start + step, -1] = np.mean(entropy(truth) ** 2, axis=1)
    return found[place.reshape(-1)]
