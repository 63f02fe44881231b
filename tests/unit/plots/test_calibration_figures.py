"""The figures of calibration show the numbers of their tables, and labels that would break a careless figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.plots.style import WARN, style

NAMES = ["$\\frac{1}{2}$ & <b>", "漢字", "evil\u202egnp.exe"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([1, 1, 1], 300)
    label = [NAMES[rng.choice(3, p=p**0.3 / (p**0.3).sum())] for p in shares]
    return pd.DataFrame(shares, columns=list("abc")).assign(label=label)


def test_reliability_diagram_draws_its_tables(rows: pd.DataFrame) -> None:
    found = ps.reliability_diagram(rows, label="label", probabilities=list("abc"), categories=NAMES, draws=50)
    figure = ps.plot_reliability_diagram(found)
    assert len(figure.axes) == 2
    for axes, (event, curve) in zip(figure.axes, found.curve.groupby("event", sort=False), strict=True):
        diagonal, line, *dots = axes.lines
        np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
        np.testing.assert_allclose(line.get_ydata(), curve["share"])
        bins = found.bins[found.bins["event"] == event]
        np.testing.assert_allclose(np.concatenate([dot.get_ydata() for dot in dots]), bins["share"])
        outside = (bins["share"] < bins["lower"]) | (bins["share"] > bins["upper"])
        assert [dot.get_markeredgecolor() == WARN for dot in dots] == outside.tolist()
        (band,) = axes.collections
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.max() == pytest.approx(curve["upper"].max())
    assert found.bins["share"].lt(found.bins["lower"]).any()
    assert "⟨U+202E⟩" in figure.axes[1].texts[0].get_text()


@pytest.mark.parametrize("width", [320, 720])
def test_panels_stay_inside_the_figure(rows: pd.DataFrame, width: float) -> None:
    found = ps.reliability_diagram(rows, label="label", probabilities=list("abc"), categories=NAMES, draws=20)
    figure = ps.plot_reliability_diagram(found, width=width)
    with style():
        figure.canvas.draw()
    for axes in figure.axes:
        box = axes.get_position()
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
    assert 72 * figure.get_figwidth() <= width + 1e-9


@pytest.mark.parametrize(("risk", "answers"), [(0.75, True), (0.01, False)])
def test_risk_curve_marks_what_is_answered(rows: pd.DataFrame, risk: float, answers: bool) -> None:
    learned = ps.calibrate(
        rows[:150], judge=list("abc"), label="label", method="temperature", categories=NAMES, repeats=1
    )
    found = ps.abstention(learned, labelled=rows[150:], risk=risk)
    (axes,) = ps.plot_risk_coverage(found).axes
    curve = found.curve[found.curve["n_answered"] > 0]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), curve["answered"])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), curve["risk"])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), risk)
    assert len(axes.lines) == 2 + answers
    if answers:
        chosen = curve.loc[curve["threshold"] == found.threshold, "answered"].item()
        np.testing.assert_allclose(axes.lines[2].get_xdata(), chosen)
