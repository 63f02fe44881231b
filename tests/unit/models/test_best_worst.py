"""Best-worst scaling: a second likelihood by enumeration, recovery, and what it refuses."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.core.precision import double_precision
from psymetric.errors import DataError, IdentificationError
from psymetric.estimation.problems import joint_problem

ITEMS = [f"m{item}" for item in range(5)]
WORTH = np.array([0.9, 0.4, 0.0, -0.4, -0.9])
SHOWN = ["s1", "s2", "s3", "s4"]


def wide(model: ps.BestWorst, *, n: int, seed: int, scale: float = 1.0) -> pd.DataFrame:
    """Choices from sets of four, drawn from the model."""
    rng = np.random.default_rng(seed)
    items = np.argsort(rng.random((n, 5)), axis=1)[:, :4]
    codes = {"item": jnp.asarray(items), "shown": jnp.ones(items.shape, bool)}
    with double_precision():
        params = {"worth": jnp.asarray(WORTH), "worst_scale": jnp.asarray(scale)}
        place = model.simulate(params, codes, 3, seed=seed)
    names = np.array(ITEMS)[items]
    frame = pd.DataFrame(names, columns=SHOWN)
    return frame.assign(best=names[place == 0], worst=names[place == 2])


def table(frame: pd.DataFrame, **columns: str) -> ps.RankingTable:
    return ps.RankingTable.best_worst(frame, shown=SHOWN, **(columns or {"best": "best", "worst": "worst"}))


def by_enumeration(frame: pd.DataFrame, process: str, scale: float) -> float:
    """Log-likelihood set by set; an empty choice was not asked for."""
    worth, total = dict(zip(ITEMS, WORTH, strict=True)), 0.0
    for row in frame.itertuples():
        shown = [item for item in (row.s1, row.s2, row.s3, row.s4) if item is not None]
        best = {item: np.exp(worth[item]) for item in shown}
        worst = {item: np.exp(-scale * worth[item]) for item in shown}
        if row.best is None:
            total += np.log(worst[row.worst] / sum(worst.values()))
        elif row.worst is None:
            total += np.log(best[row.best] / sum(best.values()))
        elif process == "maxdiff":
            every = sum(best[i] * worst[j] for i in shown for j in shown if i != j)
            total += np.log(best[row.best] * worst[row.worst] / every)
        else:
            rest = sum(worst[item] for item in shown if item != row.best)
            total += np.log(best[row.best] / sum(best.values()) * worst[row.worst] / rest)
    return total


@pytest.mark.parametrize("process", ["maxdiff", "sequential"])
def test_likelihood_equals_enumeration(process):
    frame = wide(ps.BestWorst(), n=30, seed=1).astype(object)
    frame.loc[:5, "best"] = None
    frame.loc[6:12, "worst"] = None
    for row in (13, 14, 15):
        unused = next(
            name for name in SHOWN if frame.loc[row, name] not in (frame.loc[row, ["best", "worst"]].tolist())
        )
        # The cell of an item that was not shown may be any of the four.
        frame.loc[row, unused] = None
    model = ps.BestWorst(process=process, worst_scale="free")
    with double_precision():
        problem = joint_problem(model, table(frame), prior=False)
        free = problem.space.unconstrain({"worth": WORTH, "worst_scale": np.array(0.7)})
        found = float(problem.log_likelihood(jnp.asarray(free)))
    assert found == pytest.approx(by_enumeration(frame, process, 0.7), abs=1e-10)


@pytest.mark.parametrize("process", ["maxdiff", "sequential"])
def test_simulation_recovers(process):
    model = ps.BestWorst(process=process, worst_scale="free")
    fit = ps.fit(model, table(wide(model, n=3_000, seed=5, scale=0.6)))
    # Six estimates: four standard errors are exceeded by chance once in 2,500 such tests.
    assert np.all(np.abs(fit.parameters["worth"] - WORTH) < 4 * fit.standard_errors["worth"])
    assert abs(fit.parameters["worst_scale"] - 0.6) < 4 * fit.standard_errors["worst_scale"]
    row = fit.estimates("worst_scale").iloc[0]
    assert 0 < row["lower"] < row["estimate"] < row["upper"]


def test_one_kind_of_choice_is_a_ranking_of_one():
    """The best of a set is the first of a ranking whose others are unranked; the worst, with signs turned, as well."""
    frame = wide(ps.BestWorst(), n=300, seed=2)
    best = ps.fit(ps.BestWorst(), table(frame, best="best"))
    first = frame.reset_index().melt("index", SHOWN, value_name="item").merge(frame.reset_index()[["index", "best"]])
    rank = np.where(first["item"] == first["best"], 1.0, np.nan)
    expected = ps.fit(ps.PlackettLuce(), ps.RankingTable.from_frame(first.assign(rank=rank), task="index"))
    np.testing.assert_allclose(best.parameters["worth"], expected.parameters["worth"], atol=1e-8)
    assert best.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-9)
    worst = ps.fit(ps.BestWorst(), table(frame.rename(columns={"best": "worst", "worst": "best"}), worst="worst"))
    np.testing.assert_allclose(worst.parameters["worth"], -best.parameters["worth"], atol=1e-8)


def test_counting_scores_order_items_as_the_fit_does():
    choices = table(wide(ps.BestWorst(), n=1_000, seed=3))
    counts, fit = choices.counts("item"), ps.fit(ps.BestWorst(), choices)
    assert counts["score"].rank().tolist() == fit.estimates("item")["estimate"].rank().tolist()
    assert counts[["best", "worst"]].sum().tolist() == [1_000.0, 1_000.0]


def test_what_it_refuses():
    frame = wide(ps.BestWorst(), n=30, seed=4)
    with pytest.raises(DataError, match=r'worst_scale="free"\): no item was chosen as worst'):
        ps.fit(ps.BestWorst(worst_scale="free"), table(frame, best="best"))
    ranks = pd.DataFrame({"task": [1, 1], "item": ["a", "b"], "rank": [1, 2]})
    with pytest.raises(DataError, match=r"needs best-worst choices and the table holds rankings: use PlackettLuce\(\)"):
        ps.fit(ps.BestWorst(), ps.RankingTable.from_frame(ranks))
    with pytest.raises(DataError, match=r"process='both'\) is not known: use \['maxdiff', 'sequential'\]"):
        ps.BestWorst(process="both")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="worst_scale='other'"):
        ps.BestWorst(worst_scale="other")  # pyright: ignore[reportArgumentType]
    with pytest.raises(IdentificationError, match="infinite; against items outside its group"):
        ps.fit(ps.BestWorst(), table(frame[:1]))
