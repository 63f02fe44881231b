"""The judge alone, people alone and both, side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import psymetric as ps
from psymetric.plots.style import WARN


def written(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    truth = (rng.random(1200) < 0.6).astype(float)
    judge = np.where(rng.random(1200) < 0.25, 1.0, truth)
    human = np.where(np.arange(1200) % 5 == 0, truth, np.nan)
    return pd.DataFrame({"judge": judge, "human": human, "system": np.tile(["a", "b"], 600)})


def test_one_estimate_has_three_dots_and_the_biased_judge_stands_out(df: pd.DataFrame) -> None:
    result = ps.calibrated_estimate(df)
    figure = ps.plot_calibrated(result)
    assert [text for text in written(figure) if not text[0].isdigit()] == ["judge alone", "people alone", "both"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    row = result.frame.iloc[0]
    drawn = [float(np.ravel(dot.get_xdata())[0]) for dot in dots]
    assert drawn == [row["judge_alone"], row["people_alone"], row["estimate"]]
    assert row["bias_lower"] > 0
    assert [dot.get_markeredgecolor() == WARN for dot in dots] == [True, False, False]
    assert figure.axes[0].get_xlabel() == "mean, 95% intervals"


def test_estimates_are_named_and_counted(df: pd.DataFrame) -> None:
    groups = df.assign(topic=np.where(np.arange(len(df)) < 8, "rare", "usual"))
    figure = ps.plot_calibrated(ps.calibrated_estimate(groups, system="system", by="topic"), most=1)
    assert "usual · a" in written(figure)
    assert "usual · b" not in written(figure)
    assert "the first 1 of 2" in figure.axes[0].get_xlabel()


def test_a_difference_has_a_line_at_zero(df: pd.DataFrame) -> None:
    figure = ps.plot_calibrated(ps.calibrated_estimate(df, system="system", estimand="difference"))
    assert any(np.allclose(np.asarray(line.get_xdata(), float), 0) for line in figure.axes[0].lines)
