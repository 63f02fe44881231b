"""The figure of residual components: every number of the result is where it belongs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import psymetric as ps
from psymetric.plots.components import draw_components, plot_components
from psymetric.plots.style import WARN, to_svg


def result(n_levels: int, *, band: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    value = np.linspace(2.0, 0.5, n_levels)
    upper = np.where(np.arange(n_levels) == 0, 1.5, value + 0.2)
    frame = pd.DataFrame(
        {
            "component": np.arange(1, n_levels + 1),
            "eigenvalue": value,
            "simulated_mean": upper - 0.1 if band else np.nan,
            "simulated_upper": upper if band else np.nan,
            "flag": ["beyond chance", *[""] * (n_levels - 1)] if band else "",
        }
    )
    loading = np.linspace(-0.7, 0.8, n_levels)
    return frame, pd.DataFrame({"level": [f"item {k}" for k in range(n_levels)], "contrast_1": loading})


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_eigenvalues_stand_on_their_band_and_what_passes_is_marked() -> None:
    eigenvalues, loadings = result(5)
    scree, rows = draw_components(eigenvalues, loadings, width=720).axes
    lines = [line.get_ydata() for line in scree.lines]
    np.testing.assert_allclose(lines[0], eigenvalues["simulated_upper"])
    np.testing.assert_allclose(lines[2], eigenvalues["eigenvalue"])
    np.testing.assert_allclose(lines[3], eigenvalues["eigenvalue"][1:])
    assert scree.lines[4].get_markeredgecolor() == WARN
    np.testing.assert_allclose(lines[4], [2.0])
    np.testing.assert_allclose(rows.lines[1].get_xdata(), loadings["contrast_1"][::-1])
    names = [text.get_text() for text in rows.texts][:5]
    assert names == [f"item {k}" for k in (4, 3, 2, 1, 0)]


def test_of_many_levels_the_ends_are_drawn() -> None:
    figure = draw_components(*result(40), width=340)
    assert "… 26 more" in words(figure)
    assert len(figure.axes[0].lines[2].get_ydata()) == 10
    np.testing.assert_allclose(figure.axes[1].lines[1].get_xdata()[[0, -1]], [0.8, -0.7])


def test_without_a_band_nothing_is_called_chance() -> None:
    figure = draw_components(*result(4, band=False), width=720)
    assert not any("chance" in text for text in words(figure))


def test_from_a_fit_with_labels_as_text(rated) -> None:
    figure = plot_components(rated.fit, rated.table, simulations=4)
    found = ps.residual_components(rated.fit, rated.table, simulations=4)
    np.testing.assert_allclose(figure.axes[0].lines[2].get_ydata(), found.eigenvalues["eigenvalue"])
    svg = to_svg(figure, name="x", title="t", description="d")
    assert "漢字" in svg
    assert "<b>" not in svg
