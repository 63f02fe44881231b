"""The page on choosing comparisons runs, and prints what it says."""

from __future__ import annotations

import documented_code
from matplotlib.figure import Figure


def test_page_prints_what_it_says() -> None:
    names: dict[str, object] = {}
    for claimed, printed in documented_code.run("next-pairs.md", names=names):
        assert documented_code.same_text(claimed or "", printed), f"says\n{claimed}\nbut prints\n{printed}"
    assert isinstance(names["figure"], Figure)
