"""The YAML in the documentation is read, and planned where its texts are built in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from psymetric.design import Study, plan
from psymetric.instruments.library import instrument_from_dict
from psymetric.instruments.yaml_files import parse_yaml

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: str, start: str) -> list[str]:
    found = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)
    return [block for block in found if block.startswith(start)]


@pytest.mark.parametrize("text", blocks("study-files.md", "study:"), ids=lambda text: text.split("\n")[0])
def test_a_documented_study_can_be_planned(text: str) -> None:
    assert plan(Study.from_text(text)).n_rows > 0


@pytest.mark.parametrize("text", blocks("instruments.md", "kind:"), ids=lambda text: text.split("\n")[1])
def test_a_documented_instrument_is_valid(text: str) -> None:
    assert instrument_from_dict(parse_yaml(text).data).name == "politeness"


def test_there_are_examples_to_read() -> None:
    assert len(blocks("study-files.md", "study:")) == 3
    assert len(blocks("instruments.md", "kind:")) == 1
