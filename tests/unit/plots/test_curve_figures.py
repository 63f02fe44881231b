from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from scipy.stats import norm

import psymetric as ps
from psymetric.diagnostics.characteristic_curves import characteristic_curves
from psymetric.diagnostics.information_curves import InformationCurves, information_curves
from psymetric.plots.characteristic import (
    CharacteristicPanel,
    draw_characteristic,
    panels_of,
    plot_characteristic,
)
from psymetric.plots.information import Band, bands_of, draw_information, plot_information
from psymetric.plots.style import WARN, to_svg


def written(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]


def test_information_is_a_stack_that_adds_up(rated) -> None:
    found = information_curves(rated.fit, table=rated.table)
    figure = plot_information(rated.fit, table=rated.table)
    stack, error = figure.axes
    total = stack.lines[-1]
    np.testing.assert_allclose(total.get_xdata(), found.curve["theta"][::2])
    np.testing.assert_allclose(total.get_ydata(), found.curve["information"][::2])
    assert len(stack.collections) == 5
    tops = [band.get_paths()[0].vertices[:, 1].max() for band in stack.collections]
    assert tops == sorted(tops)
    assert tops[-1] == pytest.approx(total.get_ydata().max())
    np.testing.assert_allclose(error.lines[-1].get_ydata(), found.curve["se"][::2])
    assert "population" in written(figure)
    assert "漢字" in written(figure)
    assert pyplot.get_fignums() == []


def test_many_levels_are_taken_together() -> None:
    theta = np.linspace(-3, 3, 21)
    each = np.exp(-((theta - np.linspace(-2, 2, 200)[:, None]) ** 2))
    total, levels = each.sum(axis=0), [f"item {k}" for k in range(200)]
    found = InformationCurves(
        "item",
        pd.DataFrame({"theta": theta, "information": total, "se": total**-0.5, "density": np.nan}),
        pd.DataFrame({"information": each.ravel()}),
        pd.DataFrame({"level": levels, "theta": theta[each.argmax(axis=1)], "mean_information": each.mean(axis=1)}),
        float("nan"),
        pd.DataFrame(),
        (),
    )
    bands = bands_of(found)
    assert len(bands) == 12
    assert bands[-1].label == "189 others"
    np.testing.assert_allclose(np.sum([band.information for band in bands], axis=0), total)
    figure = draw_information(found.curve, bands, width=340, axis="logits")
    assert "population" not in written(figure)
    assert len(to_svg(figure, name="x", title="t", description="d")) < 60_000


def test_one_level_has_no_name_of_its_own() -> None:
    theta = np.linspace(-3, 3, 21)
    curve = pd.DataFrame({"theta": theta, "information": 1.0, "se": 1.0, "density": np.nan})
    figure = draw_information(curve, [Band("only", np.ones(21))], width=720, axis="logits")
    assert "only" not in written(figure)


def test_characteristic_curves_carry_their_observed_means(rated) -> None:
    found = characteristic_curves(rated.fit, rated.table)
    figure = plot_characteristic(rated.fit, rated.table, level=0.9)
    assert len(figure.axes) == 6
    whole, first = figure.axes[:2]
    np.testing.assert_allclose(whole.lines[0].get_ydata(), found.test["average"][::2])
    np.testing.assert_allclose(first.lines[0].get_ydata(), found.curves["expected"][:81:2])
    own = found.observed[found.observed["level"] == rated.fit.levels["item"][0]]
    drawn = sorted((x, y) for line in first.lines[1:] for x, y in zip(*line.get_data(), strict=True))
    np.testing.assert_allclose(drawn, sorted(zip(own["theta"], own["adjusted"], strict=True)))
    bars = {segment[0, 0]: segment[:, 1] for lines in first.collections for segment in lines.get_segments()}
    lengths = [np.ptp(bars[at]) for at in own["theta"]]
    np.testing.assert_allclose(lengths, 2 * norm.ppf(0.95) * own["se"])


def test_means_off_the_curve_are_open_and_in_the_warning_colour() -> None:
    theta = np.array([-1.0, 0.0, 1.0])
    at, seen = np.array([-0.5, 0.5]), np.array([0.25, 0.2])
    panel = CharacteristicPanel("x", theta, np.array([0.0, 0.5, 1.0]), at, seen, seen - 0.1, seen + 0.1)
    assert panel.missed.tolist() == [False, True]
    (axes,) = draw_characteristic([panel], scale=(0, 1), width=340, axis="logits").axes
    held, missed = axes.lines[1:]
    assert held.get_xdata().tolist() == [-0.5]
    assert missed.get_xdata().tolist() == [0.5]
    assert missed.get_markeredgecolor() == WARN
    assert missed.get_markerfacecolor() != WARN


def test_the_furthest_from_their_curve_are_shown(rated) -> None:
    found = characteristic_curves(rated.fit, rated.table)
    far = found.observed["z"].abs().groupby(found.observed["level"]).max().sort_values(ascending=False)
    panels = panels_of(found, level=0.95, most=2)
    assert [panel.heading for panel in panels[1:]] == far.index[:2].tolist()
    assert panels[0].heading == "all 5 together"


def test_coverage_must_be_one(rated) -> None:
    with pytest.raises(ps.errors.DataError, match=r"plot_characteristic: level=95 is not a coverage"):
        plot_characteristic(rated.fit, rated.table, level=95)
