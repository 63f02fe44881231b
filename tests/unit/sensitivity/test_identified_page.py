"""The page on what judges identify prints what it says."""

from __future__ import annotations

import pytest
from documented_code import run, same_text


@pytest.mark.example
def test_page_prints_what_it_says() -> None:
    for claimed, printed in run("what-judges-identify.md"):
        assert claimed is None or same_text(claimed, printed), printed
