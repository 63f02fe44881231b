"""Coverage of 95% intervals over 200 simulated studies, against the binomial band; recorded in docs/validation/."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import psymetric as ps
from psymetric.estimation.fitting import Engine
from psymetric.simulation.studies import crossed_design, draw_parameters, simulate_responses

REPLICATIONS = 200
LEVELS = {
    "subject": [f"s{i:02d}" for i in range(60)],
    "item": ["i1", "i2", "i3", "i4"],
    "judge": [f"j{i}" for i in range(6)],
}
FACETS = ("subject", "judge", "item")
MODEL = ps.ManyFacetRasch()
METHOD = (
    f"{REPLICATIONS} studies of 60 subjects × 4 items × 6 judges on 4 categories, each subject rated by 3 judges in a "
    "linked design. Every study draws its subjects from N(0, 1), its other locations from N(0, 0.5²), and its ratings "
    "from the model. Band: the central 99.9% of a binomial count at .95; `z` is bias over its Monte Carlo error; "
    "`se/sd` is the mean standard error over the root mean square error. Intervals of subjects under MarginalML hold "
    "items and judges fixed."
)
# Chains are short because there are 200 fits: quantile noise of 800 draws lowers coverage by about .002.
ENGINES: Mapping[str, Engine] = {
    "MarginalML": ps.MarginalML(),
    "NUTS": ps.NUTS(warmup=200, draws=400, chains=2),
}


def design() -> pd.DataFrame:
    """Each subject meets three neighbouring judges, so that all are linked."""
    frame = crossed_design(LEVELS)
    subject, judge = (frame[name].map(LEVELS[name].index) for name in ("subject", "judge"))
    return frame[(judge - subject) % 6 < 3].reset_index(drop=True)


def intervals(fit: ps.Fit, table: ps.ResponseTable, facet: str) -> pd.DataFrame:
    if facet != "subject":
        return fit.estimates(facet).set_index("level")
    return ps.score(fit, table).frame.set_index("subject")


def replicate(engine: Engine, seed: int) -> pd.DataFrame:
    """Estimate, standard error and truth of every level of one study."""
    params = draw_parameters(MODEL, LEVELS, n_categories=4, seed=seed)
    table = simulate_responses(MODEL, params, LEVELS, design=design(), n_categories=4, seed=seed)
    assert isinstance(table, ps.ResponseTable)
    # Short chains may leave R-hat a little high; what counts here is whether the intervals hold the truth.
    fit = ps.fit(MODEL, table, engine=engine, throw=False)
    rows = []
    for facet in FACETS:
        found = intervals(fit, table, facet)
        truth = pd.Series(np.asarray(params["ability" if facet == "subject" else facet]), LEVELS[facet])
        rows.append(found[["estimate", "se", "lower", "upper"]].assign(true=truth, facet=facet))
    return pd.concat(rows)


def band(n: int) -> tuple[float, float]:
    low, high = binom.interval(0.999, n, 0.95)
    return low / n, high / n


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ENGINES)
def test_intervals_hold_the_truth(name, record_validation):
    results = pd.concat([replicate(ENGINES[name], seed) for seed in range(REPLICATIONS)])
    rows, outside = [], []
    for facet in FACETS:
        one = results[results["facet"] == facet]
        hits = ((one["lower"] <= one["true"]) & (one["true"] <= one["upper"])).mean()
        error = one["estimate"] - one["true"]
        low, high = band(len(one))
        rows.append(
            {
                "facet": facet, "intervals": len(one), "coverage": f"{hits:.4f}", "band": f"{low:.4f} to {high:.4f}",
                "bias": f"{error.mean():+.4f}", "z": f"{error.mean() / (error.std() / len(one) ** 0.5):+.2f}",
                "se/sd": f"{one['se'].mean() / np.sqrt((error**2).mean()):.3f}",
            }
        )  # fmt: skip
        if not low <= hits <= high:
            outside.append(f"{facet} {hits:.4f} not in [{low:.4f}, {high:.4f}]")
    record_validation(f"coverage_{name.lower()}", f"{name}. {METHOD}", rows)
    assert not outside, outside


@pytest.mark.timeout(600)
def test_twenty_studies_are_recovered():
    """A quick look in every run: coverage of 20 studies within its band, and bias within four standard errors."""
    results = pd.concat([replicate(ENGINES["MarginalML"], seed) for seed in range(500, 520)])
    for facet in FACETS:
        one = results[results["facet"] == facet]
        hits = ((one["lower"] <= one["true"]) & (one["true"] <= one["upper"])).mean()
        assert band(len(one))[0] <= hits, f"{facet}: {hits:.3f}"
        error = one["estimate"] - one["true"]
        assert abs(error.mean()) <= 4 * error.std() / len(one) ** 0.5 + 1e-9
