"""The page on figures runs, and shows every figure there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import psymetric as ps

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "plots.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.example
def test_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    # The chains at the end take longer than all the rest, and have tests of their own.
    for block in BLOCKS[:-1]:
        exec(compile(block, "docs/plots.md", "exec"), names)
    assert (tmp_path / "rulers.svg").stat().st_size > 10_000
    assert isinstance(names["found"], ps.InformationCurves)
    drawn = re.findall(r"^ps\.(plot_\w+\([^#\n]*\))", "\n".join(BLOCKS[:-1]), re.MULTILINE)
    assert isinstance(eval(f"ps.{drawn[1]}", names), Figure)


def test_every_figure_is_on_the_page() -> None:
    assert {name for name in ps.__all__ if name.startswith("plot_") and f"ps.{name}(" not in PAGE} == set()
