from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure

from psymetric.plots.intervals import IntervalRow, draw_intervals
from psymetric.plots.matrix import draw_matrix
from psymetric.plots.shares import Share, draw_shares
from psymetric.plots.style import shorten, text_width, to_svg
from psymetric.plots.wright_map import Ruler, draw_wright_map, spread_labels

NAMED = {"title": "A & B", "description": "two <rows>"}


def parse(text: str) -> ET.Element:
    return ET.fromstring(text.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))


def texts(text: str) -> list[str]:
    return [element.text or "" for element in parse(text).iter("text")]


def svg(figure: Figure) -> str:
    return to_svg(figure, name="x", **NAMED)


def intervals(name: str = "x", label: str = "a") -> str:
    rows = [IntervalRow(label, 0.1, -0.4, 0.6, "+0.1"), IntervalRow("b", -1.0, -1.5, -0.5, "−1.0", marked=True)]
    return to_svg(draw_intervals(rows, width=340, axis="logits"), name=name, **NAMED)


def test_figure_is_named_and_well_formed() -> None:
    root = parse(intervals())
    assert root.attrib["role"] == "img"
    assert [child.text for child in root][:2] == ["A & B", "two <rows>"]


def test_figure_is_the_same_each_time_and_distinct_by_name() -> None:
    assert intervals() == intervals()
    first, second = (
        {element.attrib["id"] for element in parse(intervals(name)).iter() if "id" in element.attrib} for name in "xy"
    )
    assert first
    assert not first & second


@pytest.mark.parametrize("label", ["$x^2$ & <b>", "100% \\alpha", "漢字", "</text><script>"])
def test_labels_are_text(label: str) -> None:
    assert shorten(label, 17) in texts(intervals(label=label))


def test_colours_follow_the_theme_and_nothing_leaks() -> None:
    found = intervals()
    assert "var(--accent" in found
    assert "<style" not in found
    assert "font-family" not in found
    assert "metadata" not in found


def test_rows_left_out_are_said() -> None:
    rows = [IntervalRow(str(k), k, k - 1, k + 1) for k in range(4)]
    assert "… 96 more in the table" in texts(svg(draw_intervals(rows, width=720, axis="logits", skipped=96)))


def test_matrix_writes_probabilities_where_there_is_room() -> None:
    p = np.array([[np.nan, 0.75], [0.25, np.nan]])
    found = texts(svg(draw_matrix(p, rows=["a", "b"], columns=["1", "2"], width=720, heading="h")))
    assert {".75", ".25"} <= set(found)


def test_shares_name_every_part() -> None:
    found = texts(svg(draw_shares([Share("subject", 0.62), Share("judge", 0.37), Share("template", 0.01)], width=330)))
    assert sorted(found) == ["judge 37%", "subject 62%", "template 1%"]


def test_labels_are_spread_apart_in_order() -> None:
    found = spread_labels(np.array([0.0, 1.0, 2.0, 50.0]), 10.0, -100.0, 100.0)
    assert np.diff(found).min() == pytest.approx(10.0)
    assert found[3] == 50.0
    assert found[:3].mean() == pytest.approx(1.0)


def test_labels_that_have_room_stay() -> None:
    places = np.array([0.0, 20.0, 40.0])
    assert spread_labels(places, 10.0, -100.0, 100.0) == pytest.approx(places)


def test_spread_labels_stay_inside() -> None:
    found = spread_labels(np.full(5, 99.0), 10.0, 0.0, 100.0)
    assert found.max() <= 100.0
    assert np.diff(found) == pytest.approx(np.full(4, 10.0))


def test_map_of_a_thousand_levels_keeps_the_outermost_names() -> None:
    labels = [f"judge {k}" for k in range(1_000)]
    rulers = [Ruler("judge", labels, np.linspace(-2, 2, 1_000), "severe")]
    drawn = svg(draw_wright_map(Ruler("texts", ["t"] * 5_000, np.zeros(5_000), "high"), rulers, width=720))
    found = texts(drawn)
    assert "judge 0" in found
    assert "judge 999" in found
    assert "judge 500" not in found
    assert len(drawn) < 400_000


def test_long_labels_keep_both_ends() -> None:
    assert shorten("StarCoderChat Alpha (16B)", 12) == "StarCode…6B)"
    assert shorten("short", 12) == "short"
    assert text_width("漢字") > text_width("ab")
