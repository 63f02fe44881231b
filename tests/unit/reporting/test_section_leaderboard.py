"""The leaderboard of a report on pairs: its numbers are those of the public functions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import psymetric as ps
from psymetric.reporting.evidence import read_part
from psymetric.reporting.section_leaderboard import leaderboard_tables


@dataclasses.dataclass(frozen=True)
class Voted:
    fit: ps.Fit
    table: ps.PairTable


@pytest.fixture(scope="module")
def voted() -> Voted:
    """Votes on five items, one of which is long and wins by it."""
    rng = np.random.default_rng(8)
    names, strength = np.array(list("vwxyz")), np.array([1.0, 0.6, 0.5, -0.4, -0.9])
    usual = np.array([0.0, 1.5, 0.0, 0.0, 0.0])
    left, right = np.array([rng.choice(5, 2, replace=False) for _ in range(900)]).T
    length = np.round(usual[left] - usual[right] + rng.choice([-1.0, 0.0, 1.0], 900), 1)
    won = rng.random(900) < expit(strength[left] - strength[right] + 0.8 * length)
    frame = pd.DataFrame({"left": names[left], "right": names[right], "length": length})
    frame["winner"] = np.where(won, "left", "right")
    table = ps.PairTable.from_frame(frame, left="left", right="right", outcome="winner", facets="length")
    return Voted(ps.fit(ps.BradleyTerry(contest=("length",), position=True), table), table)


def test_columns_are_those_of_the_public_functions(voted: Voted) -> None:
    frame = leaderboard_tables(read_part(voted.fit, voted.table))[0].frame.set_index("item")
    for column, found, theirs in (
        ("estimate", voted.fit.estimates("item"), "estimate"),
        ("tier", ps.tiers(voted.fit), "tier"),
        ("rank_upper", ps.rank_intervals(voted.fit), "rank_upper"),
        ("p_best", ps.p_best(voted.fit), "p_best"),
        ("elo", ps.elo_scale(voted.fit).frame, "rating"),
        ("elo_se", ps.elo_scale(voted.fit).frame, "se"),
        ("win_rate", ps.win_rates(voted.fit), "win_rate"),
        ("win_upper", ps.win_rates(voted.fit), "upper"),
        ("uncontrolled", ps.win_rates(voted.fit, table=voted.table), "uncontrolled"),
    ):
        np.testing.assert_allclose(frame[column].astype(float), found.set_index("level")[theirs].loc[frame.index])


def test_the_page_says_what_the_length_changed(voted: Voted) -> None:
    found = ps.report(voted.fit, voted.table)
    assert ">Leaderboard</h2>" in found.html
    assert {"elo", "p_best", "win_rate", "observed", "tier", "rank_lower"} <= set(found.scores.columns)
    board, table = leaderboard_tables(read_part(voted.fit, voted.table))
    headings = [column.heading for column in board.columns]
    assert headings[:9] == ["item", "rank", "rank interval", "worth", "SE", "95% interval", "Elo", "P(best)", "tier"]
    assert table.reading.startswith("v would win ")
    assert "at equal length" in table.reading
    texts = {column.heading: cell.text for column, cell in zip(board.columns, board.rows[0], strict=True)}
    assert texts["Elo"] == f"{found.scores['elo'].iloc[0]:,.0f}"
    assert "equal length" in next(column.meaning for column in table.columns if column.heading == "win rate")
    assert "lengths" not in found.html.partition("<section")[0]


def test_without_joint_uncertainty_there_is_no_win_rate(voted: Voted) -> None:
    part = read_part(dataclasses.replace(voted.fit, factors={}), voted.table)
    (table,) = leaderboard_tables(part)
    assert "win_rate" not in table.frame.columns


def test_a_fit_that_did_not_converge_is_still_reported(voted: Voted) -> None:
    unknown = {name: np.full_like(value, np.nan) for name, value in voted.fit.standard_errors.items()}
    status = dataclasses.replace(voted.fit.status, converged=False)
    fit = dataclasses.replace(voted.fit, standard_errors=unknown, covariances={}, factors={}, status=status)
    found = ps.report(fit, voted.table)
    assert found.claims[0].startswith("The estimation did not converge")
    assert "p_best" not in found.scores.columns
