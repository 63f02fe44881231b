from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import psymetric as ps
from psymetric.plots.chains import plot_ranks, plot_trace
from psymetric.plots.style import to_svg


@pytest.fixture
def drawn(rated) -> ps.Fit:
    rng = np.random.default_rng(5)
    draws = {
        name: np.asarray(value) + 0.1 * rng.standard_normal((2, 50, *np.shape(value)))
        for name, value in rated.fit.parameters.items()
        if name != "population_mean"
    }
    draws["population_mean"] = np.zeros((2, 50))
    draws["ability"] = rng.standard_normal((2, 50, 40))
    return dataclasses.replace(
        rated.fit, draws=draws, levels={**rated.fit.levels, "subject": tuple(f"s{k}" for k in range(40))}
    )


def test_traces_are_the_draws_and_leave_pyplot_alone(drawn: ps.Fit) -> None:
    figure = plot_trace(drawn, parameters=("population_sd",))
    assert isinstance(figure, Figure)
    assert pyplot.get_fignums() == []
    assert drawn.draws is not None
    lines = [line.get_ydata() for axes in figure.axes for line in axes.lines]
    for chain in drawn.draws["population_sd"]:
        assert any(len(line) == 50 and np.allclose(line, chain) for line in lines)


def test_ranks_have_a_panel_for_each_number_and_labels_are_text(drawn: ps.Fit) -> None:
    figure = plot_ranks(drawn, parameters=("judge", "item"))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 8
    assert sum("$" in title for title in titles) == 1
    assert not any(axes.title.get_parse_math() for axes in figure.axes)
    assert "漢字" in to_svg(figure, name="x", title="t", description="d")


def test_subjects_and_what_never_moves_are_left_out(drawn: ps.Fit) -> None:
    text = " ".join(f"{axes.get_title()} {axes.get_ylabel()} {axes.get_xlabel()}" for axes in plot_trace(drawn).axes)
    assert "judge" in text
    assert "ability" not in text
    assert "population_mean" not in text


def test_bad_input_is_refused(drawn: ps.Fit, rated) -> None:
    with pytest.raises(ps.errors.DataError, match=r"plot_trace: MarginalML has no posterior draws: fit with NUTS"):
        plot_trace(rated.fit)
    with pytest.raises(ps.errors.DataError, match=r"no draws of 'jugde'; did you mean 'judge'"):
        plot_ranks(drawn, parameters=("jugde",))
    with pytest.raises(ps.errors.DataError, match=r"nothing among .*population_mean.* varies"):
        plot_trace(drawn, parameters=("population_mean",))
    with pytest.raises(ps.errors.DataError, match="45 numbers are more than the 40"):
        plot_ranks(drawn, parameters=("ability", "item"))
