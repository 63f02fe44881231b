from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

import psymetric as ps
from psymetric.core.steps import UNUSED
from psymetric.diagnostics.bias import bias_analysis
from psymetric.diagnostics.local_dependence import residual_correlations
from psymetric.diagnostics.residuals import fit_statistics
from psymetric.plots.bias_map import lay_out, plot_bias
from psymetric.plots.dependence import plot_dependence
from psymetric.plots.fit_bubbles import Bubbles, draw_fit_bubbles, plot_fit
from psymetric.plots.heat_map import draw_heat_map, strongest
from psymetric.plots.style import ACCENT, WARN, to_svg
from psymetric.plots.wright_map import Ruler, draw_wright_map, plot_wright_map, step_ruler


def written(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]


def circles(figure: Figure) -> list[Circle]:
    return [artist for artist in figure.axes[0].get_children() if isinstance(artist, Circle)]


def test_bubbles_stand_at_infit_and_measure_and_reach_one_error(rated) -> None:
    figure = plot_fit(rated.fit, rated.table, facet="item")
    frame = fit_statistics(rated.fit, rated.table, facets=["item"])
    axes = figure.axes[0]
    found = sorted(tuple(axes.transData.inverted().transform(circle.center)) for circle in circles(figure))
    measure = dict(zip(rated.fit.levels["item"], rated.fit.parameters["item"], strict=True))
    expected = sorted(zip(frame["infit"], frame["level"].map(measure), strict=True))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    unit = axes.bbox.height / np.ptp(axes.get_ylim())
    assert [circle.radius for circle in circles(figure)] == pytest.approx([0.1 * unit] * 5)


def bubbles(count: int) -> Bubbles:
    rng = np.random.default_rng(4)
    labels = [f"judge $x_{k}$ of the panel" for k in range(count)]
    return Bubbles(labels, rng.normal(size=count), np.exp(rng.normal(0, 0.3, count)), rng.uniform(0.05, 0.3, count))


@pytest.mark.parametrize("width", [340.0, 720.0])
@pytest.mark.parametrize("count", [12, 200])
def test_names_are_of_bubbles_out_of_bounds_and_do_not_overlap(width: float, count: int) -> None:
    given = bubbles(count)
    figure = draw_fit_bubbles(given, width=width, axis="logits")
    to_svg(figure, name="x", title="t", description="d")
    names = [text for text in figure.axes[0].texts if text.get_text().startswith("judge")]
    out = {f"{value:.2f}" for value in given.infit[given.out]}
    assert names
    assert {text.get_text().split()[-1] for text in names} <= out
    boxes = [text.get_window_extent() for text in names]
    # Names are measured for a user-interface font; the one that is measured here is up to a tenth wider.
    apart = [a.shrunk(0.88, 0.8).overlaps(b.shrunk(0.88, 0.8)) for a, b in itertools.combinations(boxes, 2)]
    assert not any(apart)
    left = int(given.out.sum()) - len(names)
    said = [text for text in written(figure) if "more out of bounds" in text]
    assert said == ([f"… {left} more out of bounds"] if left else [])


def test_of_a_thousand_bubbles_a_sample_is_drawn_and_said() -> None:
    given = bubbles(1_000)
    out = int(given.out.sum())
    figure = draw_fit_bubbles(given, width=720, axis="logits")
    assert len(circles(figure)) == 200 + out
    assert f"{800 - out} more not drawn" in written(figure)
    unit = figure.axes[0].transData.inverted()
    drawn = {round(float(unit.transform(circle.center)[1]), 9) for circle in circles(figure)}
    assert set(np.round(given.measure[given.out], 9)) <= drawn


def test_colours_say_which_bubbles_are_out_of_bounds() -> None:
    given = Bubbles(["low", "in", "high", "far"], np.arange(4.0), np.array([0.4, 1.0, 1.6, 50.0]), np.full(4, 0.2))
    figure = draw_fit_bubbles(given, width=720, axis="logits")
    edges = [tuple(np.round(np.multiply(circle.get_edgecolor()[:3], 255)).astype(int)) for circle in circles(figure)]
    warn, accent = (tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5)) for colour in (WARN, ACCENT))
    assert sorted(edges) == sorted([warn, warn, warn, accent])
    assert {"low 0.40", "high 1.60", "far 50"} <= set(written(figure))


ONE = Bubbles(["one"], np.zeros(1), np.ones(1), np.full(1, 0.1))
NONE = Bubbles(["x"], *np.full((3, 1), np.nan))


@pytest.mark.parametrize("given", [ONE, NONE])
def test_one_or_no_bubble_can_be_drawn(given: Bubbles) -> None:
    assert len(circles(draw_fit_bubbles(given, width=340, axis="logits"))) == int(np.isfinite(given.infit).sum())


def test_facets_without_measures_are_refused(rated) -> None:
    subset = ps.ManyFacetRasch(facets=("item",))
    table = ps.ResponseTable.from_frame(
        rated.table.to_frame().drop(columns="weight").assign(response=lambda f: f["response"].astype(int)),
        response="response", subject="subject", item="item", facets=("judge",), categories=(1, 2, 3, 4),
    )  # fmt: skip
    fit = dataclasses.replace(
        rated.fit, model=subset, parameters={k: v for k, v in rated.fit.parameters.items() if k != "judge"}
    )
    with pytest.raises(ps.errors.DataError, match="has no measures of 'judge'"):
        plot_fit(fit, table, facet="judge")


def test_cells_differ_by_hue_sign_and_frame() -> None:
    values = np.array([[0.8, -0.4], [np.nan, 0.001]])
    marked = np.array([[True, False], [False, False]])
    figure = draw_heat_map(
        values, rows=["r$1$", "r2"], columns=["c1", "c2"], width=720, heading="logits", marked=marked
    )
    assert {"+.80", "−.40", "0", "r$1$", "c2"} <= set(written(figure))
    cells = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    filled = [patch for patch in cells if patch.get_fill()]
    assert [round(patch.get_alpha(), 2) for patch in filled] == [0.9, 0.45]
    assert filled[0].get_facecolor()[:3] != filled[1].get_facecolor()[:3]
    (frame,) = [patch for patch in cells if not patch.get_fill()]
    assert np.floor(frame.get_xy()).tolist() == [0, 0]


def test_small_cells_hold_the_sign_of_what_is_marked() -> None:
    values = np.linspace(-1, 1, 40).reshape(2, 20)
    figure = draw_heat_map(
        values, rows=["a", "b"], columns=["c"] * 20, width=340, heading="x", marked=np.abs(values) > 0.9
    )
    signs = [text for text in written(figure) if text in ("+", "−")]
    assert signs.count("+") == signs.count("−") == int((values > 0.9).sum())


def test_bias_map_shows_the_table_with_the_larger_facet_down_the_side(rated) -> None:
    frame = bias_analysis(rated.fit, rated.table, "judge", "item")
    found = lay_out(frame, "judge", "item", sure=(frame["p_holm"] < 0.05).to_numpy())
    assert set(found.rows) == set(rated.fit.levels["item"])
    wide = frame.pivot(index="item", columns="judge", values="estimate").loc[list(found.rows), list(found.columns)]
    np.testing.assert_array_equal(found.estimate, wide.to_numpy())
    texts = written(plot_bias(rated.fit, rated.table, "judge", "item"))
    largest = float(frame["estimate"].abs().max())
    assert any(f"{largest:.2f}".lstrip("0") in text for text in texts)
    assert "{{ 7*7 }}" in texts
    with pytest.raises(ps.errors.DataError, match="plot_bias: alpha=5 is not a probability"):
        plot_bias(rated.fit, rated.table, "judge", "item", alpha=5)


def test_of_many_levels_the_strongest_are_kept() -> None:
    strength = np.zeros((200, 3))
    strength[[7, 150], [1, 2]] = [5.0, -9.0]
    rows, columns = strongest(strength, (2, 1))
    assert rows.tolist() == [7, 150]
    assert columns.tolist() == [2]
    frame = pd.DataFrame(
        [(f"i{i}", f"j{j}", strength[i, j], strength[i, j]) for i in range(200) for j in range(3)],
        columns=["item", "judge", "estimate", "t"],
    )
    found = lay_out(frame, "judge", "item", sure=np.zeros(600, bool))
    assert found.omitted == (170, 0)
    assert {"i7", "i150"} <= set(found.rows)


def test_dependence_is_the_lower_triangle(rated) -> None:
    frame = residual_correlations(rated.fit, rated.table)
    figure = plot_dependence(rated.fit, rated.table)
    numbers = sorted(text for text in written(figure) if text[:1] in "+−" or text == "0")
    expected = sorted(
        f"{'−' if q < 0 else '+'}{abs(q):.2f}".replace("0.", ".", 1) if abs(q) >= 0.005 else "0"
        for q in frame["q3_corrected"]
    )
    assert numbers == expected
    assert "plain" in written(figure)


def test_wright_map_has_every_facet_and_the_steps(rated) -> None:
    figure = plot_wright_map(rated.fit, rated.table)
    dots = [line.get_ydata() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(np.round(places, 6)) for places in dots] == [
        list(np.round(rated.fit.parameters[name].ravel(), 6)) for name in ("item", "judge", "step")
    ]
    texts = written(figure)
    assert {"item", "judge", "step", "1 → 2", "3 → 4", "漢字", "stern"} <= set(texts)
    assert not any("\u202e" in text for text in texts)


def test_a_few_subjects_are_named_where_there_is_room() -> None:
    subjects = Ruler("text", ["first", "last"], np.array([-1.0, 1.0]), "high")
    items = [Ruler("item", ["i"], np.zeros(1))]
    assert {"first", "last"} <= set(written(draw_wright_map(subjects, items, width=720)))
    many = Ruler("text", [f"t{k}" for k in range(200)], np.linspace(-1, 1, 200), "high")
    assert "t0" not in written(draw_wright_map(many, items, width=720))


def test_owned_steps_stand_at_their_owner_and_unused_ones_are_left_out(rated) -> None:
    step = np.tile([-1.0, 0.0, 1.0], (5, 1))
    step[0, 2] = UNUSED
    fit = dataclasses.replace(
        rated.fit,
        model=ps.ManyFacetRasch(facets=("item", "judge"), steps="item"),
        parameters={**rated.fit.parameters, "step": step},
    )
    found = step_ruler(fit)
    assert found is not None
    assert len(found.labels) == 14
    assert found.labels[2] == "漢字: 1 → 2"
    assert found.places[2] == pytest.approx(-0.5 - 1.0)


def test_pictures_keep_their_places_at_every_resolution() -> None:
    figure = draw_heat_map(np.ones((1, 1)), rows=["row"], columns=["c"], width=340, heading="h")
    label = next(text for text in figure.axes[0].texts if text.get_text() == "row")
    places = []
    for dpi in (72, 200):
        figure.set_dpi(dpi)
        places.append(label.get_transform().transform(label.get_position()) / dpi)
    np.testing.assert_allclose(*places)
