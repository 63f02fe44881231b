"""Figures of people who disagree: entropies, and judges beside the human ceiling."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError
from psymetric.plots.disagreement import plot_entropies, plot_human_ceiling
from psymetric.plots.style import ACCENT, WARN, to_svg

PEOPLE = [f"person {k}" for k in range(5)]
EVIL = "x" * 60 + " $\\frac{1}{2}$ <b>"


@pytest.fixture(scope="module")
def table() -> ps.ResponseTable:
    rng = np.random.default_rng(1)
    rows = []
    for text, seen in enumerate(rng.dirichlet([0.5, 0.6, 0.7], 60)):
        for item in ("joy", "fear"):
            rows += [(text, item, f"person {k}", rng.choice(3, p=seen)) for k in range(5)]
            rows += [(text, item, EVIL, rng.choice(3, p=seen)) for _ in range(6)]
            rows += [(text, item, "at random", rng.choice(3)) for _ in range(2)]
    frame = pd.DataFrame(rows, columns=["text", "emotion", "judge", "x"])
    return ps.ResponseTable.from_frame(frame, response="x", subject="text", item="emotion", facets="judge")


def test_entropies_show_every_unit_and_both_means(table: ps.ResponseTable) -> None:
    found = ps.distribution_agreement(table, [EVIL, "at random"], draws=20)
    figure = plot_entropies(found)
    first, second = figure.axes
    assert first.get_title(loc="left").endswith("<b>")
    r = found.frame.set_index(["judge", "statistic"]).loc[("at random", "entropy correlation"), "value"]
    assert second.get_title(loc="right") == f"r = {r:.2f}"
    (bubbles,) = second.collections
    area = bubbles.get_sizes()
    assert area.min() >= np.pi * 1.5**2 - 1e-9
    assert area.max() == pytest.approx(np.pi * 11**2)
    dashed, full = second.lines
    own = found.units[found.units["judge"] == "at random"]
    # People of one mind lie in the first column.
    alone = own[own["entropy_people"] == 0]
    assert full.get_ydata()[0] == pytest.approx(alone["entropy_judge"].mean())
    assert dashed.get_ydata()[0] == pytest.approx(alone["entropy_expected"].mean())
    assert dashed.get_linestyle() == "--"
    assert "<b>" not in to_svg(figure, name="x", title="t", description="d")


@pytest.mark.parametrize("width", [340.0, 720.0])
def test_judges_stand_beside_the_panel(table: ps.ResponseTable, width: float) -> None:
    found = ps.human_ceiling(table, tested=[EVIL, "at random"], people=PEOPLE, by="item", panel=2, draws=50)
    figure = plot_human_ceiling(found, width=width)
    own = found.frame[found.frame["statistic"] == "total variation"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in dots], own["value"])
    hollow = [line.get_markerfacecolor() != line.get_markeredgecolor() for line in dots]
    assert hollow == list(own["judge"].isna())
    worse = [line.get_markeredgecolor() == WARN for line in dots]
    assert worse == list(own["shortfall_lower"] > 0)
    assert any(worse)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("2 people more") == 3
    assert ("all" in texts) == (width > 480)


def test_a_lone_ceiling_is_marked(table: ps.ResponseTable) -> None:
    figure = plot_human_ceiling(
        ps.human_ceiling(table, tested="at random", people=PEOPLE, draws=20), statistic="log loss"
    )
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    ceiling = dots[0].get_xdata()[0]
    assert any(list(line.get_xdata()) == [ceiling, ceiling] for line in figure.axes[0].lines)
    assert dots[0].get_markeredgecolor() == ACCENT


def test_statistics_that_are_not_there_are_refused(table: ps.ResponseTable) -> None:
    found = ps.human_ceiling(table, tested="at random", people=PEOPLE, draws=20)
    with pytest.raises(DataError, match="no statistic 'entropy correlation' of this panel"):
        plot_human_ceiling(found, statistic="entropy correlation")
    with pytest.raises(DataError, match="no statistic 'logloss' of this panel; did you mean 'log loss'"):
        plot_human_ceiling(found, statistic="logloss")
