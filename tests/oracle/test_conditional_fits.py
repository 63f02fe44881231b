"""Conditional maximum likelihood against eRm 1.0-2 and psychotools 0.7-2, from ../shared/oracles/fits.

Conversions. psychotools' `itempar` is our item location and its `threshpar` our location plus step, in the same
direction and with the same centring. eRm's `betapar` is easiness; for ordered categories cumulative, so that its
negative is the sum of the first k of location plus step. Its origin differs, which moves category k by k times a
constant: the numbers of all categories sum to zero, or those of the first category in its rating scale model.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

pytestmark = pytest.mark.shared_data

# The two programs stop within 1.5e-4 of one another; log-likelihoods are flat there.
LOGLIK, ESTIMATE, ERROR = 1e-5, 5e-4, 5e-4
PCM = ps.ManyFacetRasch(facets=("item",), steps="item")
RATING_SCALE = ps.ManyFacetRasch(facets=("item",))
ERM = {
    "raschdat1_RM": ps.Rasch(),
    "raschdat1_missing15pct_RM": ps.Rasch(),
    "raschdat3_RM": ps.Rasch(),
    "pcmdat2_PCM": PCM,
    "pcmdat2_RSM": RATING_SCALE,
    "pcmdat_PCM": PCM,
    "rsmdat_RSM": RATING_SCALE,
}
PSYCHOTOOLS = {"raschdat1_raschmodel": ps.Rasch(), "pcmdat2_pcmodel": PCM, "pcmdat2_rsmodel": RATING_SCALE}


def read(folder, name: str):
    record = json.loads((folder / "fits" / name).read_text(encoding="utf-8"))
    wide = pd.read_csv(folder / "fits" / record["data_csv"])
    long = wide.assign(subject=np.arange(len(wide))).melt(id_vars="subject", var_name="item", value_name="x").dropna()
    table = ps.ResponseTable.from_frame(long.astype({"x": int}), response="x", subject="subject", item="item")
    return record, list(wide.columns), table


def oracle_of(name: str) -> str:
    return f"{'eRm' if name in ERM else 'psychotools'}/{name}"


def locations(fit: ps.Fit, items: list[str]) -> np.ndarray:
    return fit.estimates("item").set_index("level").loc[items, "estimate"].to_numpy()


def thresholds(fit: ps.Fit, items: list[str]) -> np.ndarray:
    """Item location plus step, shape (items, steps), in the order of `items`."""
    steps = fit.parameters.get("step", np.zeros((1, 1)))
    rows = [fit.levels["item"].index(item) for item in items] if len(steps) > 1 else [0] * len(items)
    return locations(fit, items)[:, None] + steps[rows]


@pytest.fixture(scope="module")
def fits(oracles):
    return {
        **{name: (*read(oracles, f"eRm/{name}.json"), model) for name, model in ERM.items()},
        **{name: (*read(oracles, f"psychotools/{name}.json"), model) for name, model in PSYCHOTOOLS.items()},
    }


@pytest.mark.parametrize("name", [*ERM, *PSYCHOTOOLS])
def test_log_likelihood(fits, name, held):
    record, _, table, model = fits[name]
    fit = ps.fit(model, table, engine=ps.ConditionalML())
    held(oracle_of(name), "log-likelihood", fit.log_likelihood, record["loglik"], atol=LOGLIK)
    assert fit.n_parameters == record["npar"]


@pytest.mark.parametrize("name", ERM)
def test_erm_category_parameters(fits, name, held):
    record, items, table, model = fits[name]
    cumulated = np.cumsum(thresholds(ps.fit(model, table, engine=ps.ConditionalML()), items), axis=1)
    category = np.broadcast_to(np.arange(1, cumulated.shape[1] + 1), cumulated.shape)
    names = [
        f"beta {item}.c{k}" if len(record["beta_easiness"]) > len(items) else f"beta {item}"
        for item in items
        for k in category[0]
    ]
    # A category that nobody used has no number in eRm and ±10⁴ here.
    used = np.array([name in record["beta_easiness"] for name in names])
    published = [record["beta_easiness"][name] for name in names if name in record["beta_easiness"]]
    ours, category = cumulated.ravel()[used], category.ravel()[used]
    origin = category == 1 if model == RATING_SCALE else category > 0
    ours = ours - category * ours[origin].sum() / category[origin].sum()
    held(oracle_of(name), "category parameters (easiness)", -ours, published, atol=ESTIMATE)


@pytest.mark.parametrize("name", ["raschdat1_RM", "raschdat1_missing15pct_RM", "raschdat3_RM"])
def test_erm_standard_errors(fits, name, held):
    record, items, table, model = fits[name]
    found = ps.fit(model, table, engine=ps.ConditionalML()).estimates("item").set_index("level").loc[items, "se"]
    held(oracle_of(name), "standard errors of items", found, record["beta_se"], atol=ERROR)


@pytest.mark.parametrize("name", PSYCHOTOOLS)
def test_psychotools_items_and_thresholds(fits, name, held):
    record, items, table, model = fits[name]
    fit = ps.fit(model, table, engine=ps.ConditionalML())
    published = record["itempar_sumzero"]
    held(oracle_of(name), "items", locations(fit, items), list(published["estimate"].values()), atol=ESTIMATE)
    errors = fit.estimates("item").set_index("level").loc[items, "se"]
    held(oracle_of(name), "standard errors of items", errors, published["se"], atol=ERROR)
    steps = [list(row.values()) for row in record["threshpar_relative_FALSE"]["estimate"].values()]
    held(oracle_of(name), "thresholds", thresholds(fit, items), steps, atol=ESTIMATE)


@pytest.mark.parametrize("split", ["median", "mean"])
@pytest.mark.parametrize("name", ["raschdat1_RM", "raschdat3_RM", "pcmdat2_PCM", "pcmdat2_RSM"])
def test_andersen(fits, name, split, held):
    record, _, table, model = fits[name]
    published = record[f"LRtest_{split}"]
    found = ps.andersen_test(ps.fit(model, table, engine=ps.ConditionalML()), table, split=split)
    held(oracle_of(name), f"Andersen, {split} split", found.statistic, published["LR"], atol=2 * LOGLIK)
    assert found.df == published["df"]
    assert found.p == pytest.approx(published["p"], rel=1e-4)
    held(
        oracle_of(name),
        f"… of groups, {split} split",
        found.groups["log_likelihood"],
        published["likgroup"],
        atol=LOGLIK,
    )


def test_wald_tests_of_items(fits, held):
    record, items, table, model = fits["raschdat1_RM"]
    found = ps.andersen_test(ps.fit(model, table, engine=ps.ConditionalML()), table).levels().set_index("level")
    z = np.array(record["Wald_median"]["coef_table"]["z-statistic"])
    # eRm's z carries the error of two optimisers, 1.5e-4 logits each, over standard errors of 0.3.
    held("eRm/raschdat1_RM", "Wald z of items", np.sqrt(found.loc[items, "statistic"]), np.abs(z), atol=1e-3)
    assert (found["df"] == 1).all()


@pytest.mark.parametrize("name", ["raschdat1_RM", "raschdat3_RM", "pcmdat2_PCM"])
def test_martin_loef(fits, name, held):
    record, _, table, model = fits[name]
    published = record["MartinLoef_median"]
    found = ps.martin_loef_test(ps.fit(model, table, engine=ps.ConditionalML()), table)
    held(oracle_of(name), "Martin-Löf", found.statistic, published["LR"], atol=2 * LOGLIK)
    assert found.df == published["df"]
    assert found.p == pytest.approx(published["p"], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "model", "log_likelihood"),
    [("rasch_1000x20", ps.Rasch(), -8292.04513721373), ("pcm_1000x20_4c", PCM, -16864.8845341239)],
)
def test_larger_tables(oracles, name, model, log_likelihood, held):
    """psychotools' log-likelihoods of the timing data."""
    wide = pd.read_csv(oracles / "fits" / "timing" / f"{name}.csv.gz")
    long = wide.assign(subject=np.arange(len(wide))).melt(id_vars="subject", var_name="item", value_name="x")
    table = ps.ResponseTable.from_frame(long, response="x", subject="subject", item="item")
    found = ps.fit(model, table, engine=ps.ConditionalML()).log_likelihood
    held(f"timing/{name}", "log-likelihood (psychotools)", found, log_likelihood, atol=LOGLIK)
