"""The ternary plot: what stands where, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Polygon

import psymetric as ps
from psymetric.errors import DataError
from psymetric.plots.ternary import TernaryPanel, TernaryRegion, draw_ternary

SHARES = [[0.32, 0.39, 0.29], [0.38, 0.25, 0.37]]


@pytest.fixture(scope="module")
def found() -> ps.IdentifiedSet:
    margins = ps.JudgeMargins.from_shares({"judge $1$": SHARES}, candidates=["A", "evil\u202egnp.exe"])
    return ps.identified_set(margins, assumptions=ps.JudgeAssumptions(accuracy=0.7), boxes=0, starts=1)


@pytest.mark.parametrize("width", [400, 720])
def test_both_triangles_have_their_candidates(found: ps.IdentifiedSet, width: int) -> None:
    draws = np.random.default_rng(0).dirichlet([5, 5, 5], (200, 2))
    figure = ps.plot_ternary(found, draws=draws, width=width)
    said, true = figure.axes
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words.count("A") == 2
    assert words.count("evil⟨U+202E⟩gnp.exe") == 2, "what turns text around is written out"
    assert "labels of judge $1$" in words
    # Where the shares (.32, .39, .29) are, in the plane with corners (0, 0), (1, 0), (1/2, √3/2).
    marks = [line for line in said.lines if line.get_marker() == "o"]
    assert marks[0].get_xydata()[0] == pytest.approx([0.39 + 0.29 / 2, 0.29 * np.sqrt(3) / 2])
    triangles = [patch for patch in said.patches if isinstance(patch, Polygon)]
    assert len(triangles) == 3, "the frame and the judge in two worlds"
    assert len(true.patches) == 1 + 3 * 2, "the frame, and of each candidate an area, its outline and an ellipse"


def test_ellipse_holds_its_share_of_the_draws() -> None:
    draws = np.random.default_rng(1).dirichlet([8, 6, 4], 2000)
    panel = TernaryPanel("true levels", ("1", "2", "3"), [TernaryRegion("A", draws=draws)])
    (axes,) = draw_ternary([panel], width=400, level=0.8).axes
    ellipse = axes.patches[-1].get_path()
    places = draws @ np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
    # The polygon of 72 sides is a little inside its ellipse.
    assert ellipse.contains_points(places).mean() == pytest.approx(0.8, abs=0.005)


def test_two_points_are_a_line() -> None:
    hull = np.array([[1.0, 0, 0], [0, 1.0, 0], [0.5, 0.5, 0]])
    panel = TernaryPanel("true levels", ("1", "2", "3"), [TernaryRegion("A", hull=hull)])
    (axes,) = draw_ternary([panel], width=400).axes
    assert axes.patches[-1].get_path().vertices[:2] == pytest.approx(np.array([[0, 0], [1, 0]]))


def test_bad_options_are_refused(found: ps.IdentifiedSet) -> None:
    with pytest.raises(DataError, match="no candidate 'B'"):
        ps.plot_ternary(found, candidates=["B"])
    with pytest.raises(DataError, match="no judge 'judge 2'"):
        ps.plot_ternary(found, judge="judge 2")
    with pytest.raises(DataError, match=r"draws have shape \(10, 3\)"):
        ps.plot_ternary(found, draws=np.ones((10, 3)))
    with pytest.raises(DataError, match="level=95"):
        ps.plot_ternary(found, level=95)
    binary = ps.JudgeMargins.from_shares({"judge": [[0.4, 0.6], [0.2, 0.8]]})
    with pytest.raises(DataError, match="2 labels and 2 true levels"):
        ps.plot_ternary(ps.identified_set(binary))
