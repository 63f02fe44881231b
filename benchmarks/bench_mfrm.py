"""Many-facet Rasch model by marginal maximum likelihood: psymetric and Python `mirt` on the same ratings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.ours import fitting
from benchmarks.runner import PATIENCE, Ratio, Section, Target, as_table, take_turns, time_calls, verdict

SHARED = Path(__file__).resolve().parents[2] / "shared/oracles/fits/timing/mfr_10000p_100r_4k_5i_5c_long.csv.gz"
LEAST_LOG_LIKELIHOOD = -246930.80
"""The maximum of the shared data is -246930.786; a program that stops below has done less work."""
REQUIRED_RATIO = 5.0
SMALL, LARGE = 10_000, 20_000
"""Persons; each is rated by four raters on five items."""
N_RATERS = {SMALL: 100, LARGE: 500}
TARGETS = {SMALL: Target(warm=0.6, kept=4.0), LARGE: Target(warm=1.5)}
# Both programs stop within 1e-4 of the maximum of a likelihood of 2.5e5.
AGREEMENT = 0.01


def ratings(n_persons: int) -> pd.DataFrame:
    """The shared data (10,000 persons, 4 of 100 raters each, 5 items, 5 categories), or simulated ones, seed 20260101.

    Persons are normal with an sd of one logit, raters with one of half a logit.
    """
    if n_persons == SMALL and SHARED.exists():
        return pd.read_csv(SHARED)
    return simulated(n_persons, N_RATERS[n_persons])


def simulated(n_persons: int, n_raters: int) -> pd.DataFrame:
    """Ratings of five items by four of the raters for each person, in five categories."""
    rng = np.random.default_rng(20260101)
    severity, difficulty, steps = (
        rng.normal(0, 0.5, n_raters),
        np.array([-0.6, -0.3, 0.0, 0.3, 0.6]),
        np.array([-1.5, -0.5, 0.5, 1.5]),
    )
    person = np.repeat(np.arange(n_persons), 20)
    rater = np.repeat(np.stack([rng.choice(n_raters, 4, replace=False) for _ in range(n_persons)]), 5, axis=1).ravel()
    item = np.tile(np.arange(5), 4 * n_persons)
    location = rng.normal(0, 1, n_persons)[person] - severity[rater] - difficulty[item]
    logits = np.column_stack([np.zeros(len(item)), np.cumsum(location[:, None] - steps, axis=1)])
    below = np.cumsum(np.exp(logits - logits.max(axis=1, keepdims=True)), axis=1)
    score = (rng.random((len(item), 1)) * below[:, -1:] > below).sum(axis=1)
    return pd.DataFrame({"person": person, "rater": rater, "item": item, "score": score})


def psymetric(frame: pd.DataFrame) -> Callable[[], float]:
    import psymetric as ps

    table = ps.ResponseTable.from_frame(frame, response="score", subject="person", item="item", facets=("rater",))
    return fitting(ps.ManyFacetRasch(facets=("item", "rater")), table, ps.MarginalML())


def mirt(frame: pd.DataFrame) -> Callable[[], float]:
    from mirt import fit_mfrm
    from mirt.models.mfrm import Facet, PolytomousMFRM

    person, rater, item = (pd.factorize(frame[name], sort=True)[0] for name in ("person", "rater", "item"))
    order = np.argsort(person, kind="stable")
    shape = (int(person.max()) + 1, -1)
    responses, items, raters = (np.asarray(values)[order].reshape(shape) for values in (frame["score"], item, rater))

    def call() -> float:
        facet = Facet("rater", int(rater.max()) + 1)
        model = PolytomousMFRM(int(item.max()) + 1, int(frame["score"].max()) + 1, [facet])
        return fit_mfrm(model, responses, {"rater": raters}, item_indices=items).log_likelihood

    return call


def _section(n_persons: int) -> Section:
    contestants = (f"psymetric {n_persons}", f"mirt {n_persons}")
    ours, theirs = take_turns("benchmarks.bench_mfrm", contestants, rounds=2 if n_persons == SMALL else 1)
    if abs(ours.log_likelihood - theirs.log_likelihood) > AGREEMENT:
        raise RuntimeError(f"different optima: {ours} {theirs}")
    is_shared = n_persons == SMALL and SHARED.exists()
    if is_shared and ours.log_likelihood < LEAST_LOG_LIKELIHOOD:
        raise RuntimeError(f"psymetric stopped short of {LEAST_LOG_LIKELIHOOD}: {ours}")
    ratio = Ratio(theirs, ours)
    missed = TARGETS[n_persons].missed(ours) + ratio.missed(REQUIRED_RATIO)
    source = "the shared timing data" if is_shared else "simulated"
    text = (
        f"{20 * n_persons:,} ratings: {n_persons:,} persons, 4 of {N_RATERS[n_persons]} raters each, 5 items, "
        f"5 categories\n({source}). Both return standard errors from the exact "
        f"observed information; {theirs.note}.\n\n{as_table([ours, theirs])}\n\n"
        f"Required: {TARGETS[n_persons]}, ratio of {ratio.of} ≥ {REQUIRED_RATIO:.0f}; {verdict(missed)}."
    )
    return Section(f"Many-facet Rasch model, {20 * n_persons:,} ratings", text, [ours, theirs], missed)


def run() -> list[Section]:
    """Time both programs on both sizes.

    Raises:
        RuntimeError: They did not reach the same maximum.
    """
    return [_section(SMALL), _section(LARGE)]


if __name__ == "__main__":
    size = int(sys.argv[2])
    data = ratings(size)
    if sys.argv[1] == "mirt":
        time_calls(
            f"mirt {version('mirt')}",
            lambda: mirt(data),
            note="mirt's call returns person measures and fit statistics as well",
            patience=PATIENCE,
        )
    else:
        time_calls(f"psymetric {version('psymetric')}", lambda: psymetric(data))
