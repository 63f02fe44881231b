"""The figure of accuracy by comparisons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import psymetric as ps
from psymetric.errors import DataError
from psymetric.plots.pair_savings import plot_savings


def savings() -> ps.PairSavings:
    rng, at = np.random.default_rng(0), np.arange(10, 60, 10)
    courses = {name: rng.uniform(0.5, 0.9, (8, 5)) for name in ("random", "ranking", "top_k")}
    # Two that end together, whose names must not overlap.
    courses["ranking"][:, -1] = courses["random"][:, -1]
    return ps.PairSavings(at, courses, {"random": courses["random"]}, 6, 2)


def test_curves_are_the_means_with_their_errors() -> None:
    found = savings()
    figure = plot_savings(found)
    (axes,) = figure.axes
    for line, band, values in zip(axes.lines, axes.collections, found.kendall.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), values.mean(axis=0))
        heights = band.get_paths()[0].vertices[:, 1]
        reach = 1.959964 * values.std(axis=0, ddof=1) / np.sqrt(8)
        assert heights.max() == pytest.approx((values.mean(axis=0) + reach).max())
        assert heights.min() == pytest.approx((values.mean(axis=0) - reach).min())
    texts = {text.get_text(): text.get_position()[1] for text in figure.texts}
    assert {"random", "ranking", "top k", "Kendall's tau with the truth"} == set(texts)
    assert abs(texts["random"] - texts["ranking"]) * 300 >= 15 - 1e-9


def test_measure_that_was_not_simulated_is_refused() -> None:
    found = savings()
    assert "share of the true top 2 found" in {t.get_text() for t in plot_savings(found, measure="top_k").texts}
    with pytest.raises(DataError, match="measure='top_k' was not simulated"):
        plot_savings(replace(found, top_k={}), measure="top_k")
