"""The page about importing votes runs, and prints what it says it prints."""

from __future__ import annotations

from pathlib import Path

import documented_code
import pytest


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = documented_code.run("importing-votes.md")
    assert len(outputs) == 7
    for claimed, printed in outputs:
        assert documented_code.same_text(claimed or "", printed), f"the page says\n{claimed}\nbut prints\n{printed}"
