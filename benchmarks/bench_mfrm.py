"""Many-facet Rasch model by marginal maximum likelihood: psymetric and Python `mirt` on the same ratings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.runner import as_lines, as_table, take_turns, time_calls

TITLE = "Many-facet Rasch model, marginal maximum likelihood"
SHARED = Path(__file__).resolve().parents[2] / "shared/oracles/fits/timing/mfr_10000p_100r_4k_5i_5c_long.csv.gz"
LEAST_LOG_LIKELIHOOD = -246930.80
"""The maximum of the shared data is -246930.786; a program that stops below has done less work."""
REQUIRED_RATIO = 5.0
# Both programs stop within 1e-4 of the maximum of a likelihood of 2.5e5.
AGREEMENT = 0.01


def ratings() -> pd.DataFrame:
    """The shared data (10,000 persons, 4 of 100 raters each, 5 items, 5 categories), or data of that design."""
    if SHARED.exists():
        return pd.read_csv(SHARED)
    return simulated(10_000, 100)


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
    model = ps.ManyFacetRasch(facets=("item", "rater"))

    def call() -> float:
        value = ps.fit(model, table, engine=ps.MarginalML()).log_likelihood
        assert value is not None
        return value

    return call


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


def run() -> tuple[str, str, bool, list[str]]:
    """Time both; returns a title, a section in Markdown, whether the ratio was met, and terminal lines.

    Raises:
        RuntimeError: They did not reach the same maximum.
    """
    ours, theirs = take_turns("benchmarks.bench_mfrm", ("psymetric", "mirt"))
    if abs(ours.log_likelihood - theirs.log_likelihood) > AGREEMENT:
        raise RuntimeError(f"different optima: {ours} {theirs}")
    if SHARED.exists() and ours.log_likelihood < LEAST_LOG_LIKELIHOOD:
        raise RuntimeError(f"psymetric stopped short of {LEAST_LOG_LIKELIHOOD}: {ours}")
    ratio = theirs.warm / ours.warm
    source = "the shared timing data" if SHARED.exists() else "simulated data of the same design"
    verdict = "met" if ratio >= REQUIRED_RATIO else "missed"
    text = (
        f"200,000 ratings: 10,000 persons, 4 of 100 raters each, 5 items, 5 categories ({source}). Both return\n"
        f"standard errors from the exact observed information; {theirs.note}.\n\n{as_table([ours, theirs])}\n\n"
        f"Warm ratio **{ratio:.1f}**; {REQUIRED_RATIO:.0f} is required: {verdict} in this run."
    )
    return TITLE, text, ratio >= REQUIRED_RATIO, as_lines([ours, theirs])


if __name__ == "__main__":
    data = ratings()
    if sys.argv[1] == "mirt":
        time_calls(
            f"mirt {version('mirt')}",
            lambda: mirt(data),
            note="mirt's call returns person measures and fit statistics as well",
        )
    else:
        time_calls(f"psymetric {version('psymetric')}", lambda: psymetric(data))
