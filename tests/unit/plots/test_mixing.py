"""The figure of the worst-sampled numbers: what is drawn is what was sampled."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib import pyplot

import psymetric as ps
from psymetric.plots.mixing import MixingPanel, draw_mixing, plot_mixing
from psymetric.plots.style import to_svg


@pytest.fixture
def drawn(rated) -> ps.Fit:
    rng = np.random.default_rng(5)
    draws = {
        name: np.asarray(value) + 0.1 * rng.standard_normal((3, 60, *np.shape(value)))
        for name, value in rated.fit.parameters.items()
    }
    draws["item"][0, :, 1] += 3.0
    status = dataclasses.replace(rated.fit.status, details={"r_hat": 2.0})
    return dataclasses.replace(rated.fit, draws=draws, status=status, engine="NUTS")


def test_the_worst_number_comes_first_with_its_draws(drawn: ps.Fit) -> None:
    figure = plot_mixing(drawn, most=2)
    assert pyplot.get_fignums() == []
    assert len(figure.axes) == 4
    assert drawn.draws is not None
    lines = [line.get_ydata() for line in figure.axes[0].lines]
    np.testing.assert_allclose(lines, drawn.draws["item"][:, :, 1])
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words[0] == "item: 漢字"
    assert words[1].startswith("R-hat ")


def test_bars_are_the_shares_of_the_ranks() -> None:
    shares = np.array([[2.0, 0.0], [0.0, 2.0]])
    panel = MixingPanel("x", 2.5, 3.0, np.array([[0.0, 1.0], [2.0, 3.0]]), shares, 0.3)
    ranks = draw_mixing([panel], width=720).axes[1]
    tops = [patch.get_data().values for patch in ranks.patches if hasattr(patch, "get_data")]
    scale = 2.1  # five per cent above the tallest
    np.testing.assert_allclose(tops[0], 1 + shares[0] / scale)
    np.testing.assert_allclose(tops[2], shares[1] / scale)


def test_long_chains_are_thinned_and_one_chain_has_no_ranks() -> None:
    draws = np.arange(2_000.0)[None]
    figure = draw_mixing([MixingPanel("x", np.nan, 3.0, draws, np.ones((1, 10)), 0.1)], width=340)
    assert len(figure.axes) == 1
    shown = figure.axes[0].lines[0].get_xdata()
    assert 100 < len(shown) <= 160
    assert "R-hat" not in " ".join(text.get_text() for text in figure.axes[0].texts)
    assert len(to_svg(figure, name="x", title="t", description="d")) < 30_000


def test_bad_input_is_refused(drawn: ps.Fit, rated) -> None:
    with pytest.raises(ps.errors.DataError, match="MarginalML has no chains to compare"):
        plot_mixing(rated.fit)
    with pytest.raises(ps.errors.DataError, match="plot_mixing: most=0 must be 1 or more"):
        plot_mixing(drawn, most=0)
    still = dataclasses.replace(drawn, draws={"population_mean": np.zeros((2, 50))})
    with pytest.raises(ps.errors.DataError, match="plot_mixing: nothing that was sampled varies"):
        plot_mixing(still)
