"""Agreement of judges of rankings with the common order: scipy's tau-b, a closed form, and who is flagged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

import psymetric as ps
from psymetric.diagnostics.ranking_judges import kendall_tau_b
from psymetric.errors import DataError

WORTH = {"a": 1.2, "b": 0.4, "c": -0.3, "d": -1.3}
N_JUDGES, N_EACH, N_DRAWS = 6, 40, 200


def lists(seed: int = 4) -> pd.DataFrame:
    """Whole rankings of four items; the last judge puts the worst first."""
    rng = np.random.default_rng(seed)
    rows = []
    for judge in range(N_JUDGES):
        sign = -1 if judge == N_JUDGES - 1 else 1
        for task in range(N_EACH):
            order = sorted(WORTH, key=lambda name: -(sign * WORTH[name] + rng.gumbel()))
            rows += [(task, f"j{judge}", name, place + 1) for place, name in enumerate(order)]
    return pd.DataFrame(rows, columns=["task", "judge", "item", "rank"])


@pytest.fixture(scope="module")
def table() -> ps.RankingTable:
    return ps.RankingTable.from_frame(lists(), judge="judge")


@pytest.fixture(scope="module")
def fit(table) -> ps.Fit:
    return ps.fit(ps.PlackettLuce(), table)


def test_tau_b_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    category = np.sort(rng.integers(0, 4, (60, 6)), axis=1).astype(np.int32)
    n_shown = rng.integers(2, 7, 60)
    category[np.arange(6) >= n_shown[:, None]] = -1
    value = rng.normal(size=category.shape)
    found, tied = kendall_tau_b(category, value)
    for row, size in enumerate(n_shown):
        mine = category[row, :size]
        assert found[row] == pytest.approx(kendalltau(-mine, value[row, :size]).statistic, nan_ok=True)
        same = np.triu(mine[:, None] == mine, 1).sum()
        assert tied[row] == pytest.approx(same / (size * (size - 1) / 2))
    assert np.isnan(found).any()


def test_whole_rankings_have_a_closed_expectation(fit, table) -> None:
    """Two items of a ranking are in the order of a choice between the two, so that E tau is the mean of tanh(d / 2)."""
    found = ps.ranking_judges(fit, table, n=N_DRAWS)
    worth = fit.parameters["worth"]
    i, j = np.triu_indices(4, 1)
    expected = np.mean(np.tanh(np.abs(worth[i] - worth[j]) / 2))
    # One ranking's tau has an sd under 1; the means are over N_EACH of them and N_DRAWS draws.
    np.testing.assert_allclose(found["tau_expected"], expected, atol=4 / np.sqrt(N_EACH * N_DRAWS))
    frame = lists()
    for row in found.to_dict("records"):
        mine = frame[frame["judge"] == row["judge"]].groupby("task")
        level = dict(zip(fit.levels["item"], worth, strict=True))
        taus = [kendalltau(-one["rank"], one["item"].map(level)).statistic for _, one in mine]
        assert row["tau_b"] == pytest.approx(np.mean(taus))
        assert row["n"] == N_EACH


def test_only_who_reverses_the_order_is_flagged(fit, table) -> None:
    found = ps.ranking_judges(fit, table).set_index("judge")
    flagged = found.index[found["flag"] != ""].tolist()
    assert flagged == [f"j{N_JUDGES - 1}"]
    assert found["flag"].iloc[-1].startswith("against the order: tau-b -0.")


def test_best_choices_alone_have_no_expectation() -> None:
    frame = lists().assign(rank=lambda rows: np.where(rows["rank"] == 1, "best", "neither"))
    table = ps.RankingTable.from_frame(frame, judge="judge")
    found = ps.ranking_judges(ps.fit(ps.BestWorst(), table), table)
    assert found["tau_expected"].isna().all()
    assert found["tau_b"].notna().all()
    assert (found["flag"] == "").all()


def test_what_has_no_judges_of_rankings(fit, table) -> None:
    with pytest.raises(DataError, match="ranking_judges: judge='grader' is no facet of the rankings"):
        ps.ranking_judges(fit, table, judge="grader")
    with pytest.raises(DataError, match="ranking_judges: n=1; ask for at least two draws"):
        ps.ranking_judges(fit, table, n=1)
    with pytest.raises(DataError, match="pass a fit of PlackettLuce or BestWorst with its RankingTable"):
        ps.ranking_judges(fit, "table")
    other = ps.RankingTable.from_frame(lists().replace({"item": {"a": "z"}}), judge="judge")
    with pytest.raises(DataError, match="the fit has no worth of 1 items of the table, first 'z'"):
        ps.ranking_judges(fit, other)
