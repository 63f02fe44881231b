"""Leaderboard, rank probabilities and probabilities of order: what is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import psymetric as ps
from psymetric.core.provenance import Provenance
from psymetric.errors import DataError
from psymetric.plots.leaderboard import LeaderRow, draw_leaderboard
from psymetric.plots.rank_probabilities import draw_rank_probabilities

HOSTILE = ("a $\\frac{1}{2}$ & <b>", "漢字", "x" * 200, "evil\u202egnp.exe")


def scores(estimates: np.ndarray, se: float) -> ps.Scores:
    labels = [HOSTILE[k] if k < len(HOSTILE) else f"m{k}" for k in range(len(estimates))]
    frame = pd.DataFrame({"subject": labels, "estimate": estimates, "se": se, "n": 10.0, "extreme": False})
    frame["lower"], frame["upper"] = estimates - 2 * se, estimates + 2 * se
    return ps.Scores(frame, method="wle", level=0.95, carries="-", provenance=Provenance("x"))


def written(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]


def shades(figure: Figure) -> dict[tuple[int, int], float]:
    """Shade by row and column of each filled cell."""
    cells = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    return {(int(cell.get_y()), int(cell.get_x())): float(cell.get_alpha() or 0) for cell in cells}


def test_leaderboard_shows_intervals_ranks_and_tiers() -> None:
    source = scores(np.array([0.0, 2.0, 0.1, -1.5]), 0.3)
    figure = ps.plot_leaderboard(source)
    ranks, tiers = ps.rank_intervals(source), ps.tiers(source)
    measures, places = figure.axes
    dots = [line for line in measures.lines if line.get_marker() == "o"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in dots], ranks["estimate"])
    bars = [line.get_xdata() for line in places.lines if line.get_marker() != "|"]
    np.testing.assert_allclose(bars, ranks[["rank_lower", "rank_upper"]].to_numpy() + np.array([-0.3, 0.3]))
    assert tiers["tier"].tolist() == [1, 2, 2, 3]
    texts = written(figure)
    assert [text for text in texts if text.startswith("tier")] == ["tier 1", "tier 2", "tier 3"]
    assert texts.count("2–3") == 2
    assert any("U+202E" in text for text in texts)
    assert measures.get_xlabel() == "logits, 95% intervals"


def test_narrow_leaderboard_writes_ranks() -> None:
    figure = ps.plot_leaderboard(scores(np.linspace(1, 0, 6), 0.1), width=340)
    assert len(figure.axes) == 1
    assert "rank" in written(figure)
    assert not [text for text in written(figure) if text.startswith("tier")]


@pytest.mark.parametrize("count", [6, 60])
def test_of_many_the_first_are_drawn_and_said(count: int) -> None:
    source = scores(np.linspace(0, 3, count), 0.4)
    for plot in (ps.plot_leaderboard, ps.plot_rank_probabilities, ps.plot_pairwise_probabilities):
        cut = [text for text in written(plot(source, most=5)) if f"the first 5 of {count}" in text]
        assert len(cut) == 1
        assert not [text for text in written(plot(source)) if "the first" in text]
    rows = ps.plot_leaderboard(source, most=5).axes[1].lines
    assert len(rows) == 10


def test_cells_are_the_probabilities() -> None:
    source = scores(np.array([0.0, 0.4, 1.5]), 0.5)
    table = ps.rank_probabilities(source).to_numpy()
    figure = ps.plot_rank_probabilities(source)
    darkest = min(1.5 * np.median(table.max(axis=1)), 1.0)
    found = shades(figure)
    for (row, column), p in np.ndenumerate(table):
        assert found.get((row, column), 0.0) == pytest.approx(0.92 * min(p / darkest, 1), abs=0.01)
    above = ps.pairwise_probabilities(source).to_numpy()
    found = shades(ps.plot_pairwise_probabilities(source))
    for row, column in ((0, 1), (1, 0), (0, 2), (2, 1)):
        assert found.get((row, column), 0.0) == pytest.approx(0.92 * above[row, column], abs=0.01)
    assert not any(row == column for row, column in found)


def test_an_unknown_order_stays_pale() -> None:
    figure = draw_rank_probabilities(np.full((40, 40), 1 / 40), [str(k) for k in range(40)], width=720)
    assert max(shades(figure).values()) == pytest.approx(0.92 / 40 / 0.2, abs=0.01)


def test_one_row_can_be_drawn() -> None:
    row = LeaderRow("only", 0.0, -1.0, 1.0, 1, 1, 1, 1)
    assert row.ranks == "1"
    assert "only" in written(draw_leaderboard([row], width=720, axis="logits"))


def test_a_level_that_the_scores_do_not_have_is_refused() -> None:
    with pytest.raises(DataError, match=r"plot_leaderboard: level=0\.8 and the scores have intervals of 0\.95"):
        ps.plot_leaderboard(scores(np.array([0.0, 1.0]), 0.1), level=0.8)
