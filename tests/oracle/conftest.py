"""Comparisons with oracles, asserted and kept for the page that `make validate` writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import oracle_table
import pytest
from oracle_table import Comparison


@pytest.fixture(scope="session")
def comparisons(request: pytest.FixtureRequest) -> Iterator[list[Comparison]]:
    """All comparisons of the session; the page is written where PSYMETRIC_VALIDATION names the folder."""
    rows: list[Comparison] = []
    yield rows
    folder = os.environ.get("PSYMETRIC_VALIDATION")
    # A worker of several has seen part of the tests: the page takes one process.
    if folder is None or hasattr(request.config, "workerinput"):
        return
    root = request.config.rootpath
    names = oracle_table.oracle_files(root.parent / "shared" / "oracles")
    missing = oracle_table.not_held(names, (row.oracle for row in rows))
    assert not missing, f"neither held nor with a reason (run all of tests/oracle): {missing}"
    (root / folder / "oracles.md").write_text(oracle_table.page(rows), encoding="utf-8")


@pytest.fixture
def held(request: pytest.FixtureRequest, comparisons: list[Comparison]) -> Callable[..., None]:
    """Assert that ours are theirs: `held("eRm/raschdat1_RM", "log-likelihood", ours, theirs, atol=1e-5)`."""
    path = Path(request.node.path).stem

    def hold(oracle: str, what: str, ours: object, theirs: object, *, atol: float = 0.0, rtol: float = 0.0) -> None:
        test = f"{path}::{request.node.originalname}"
        comparisons.append(oracle_table.compare(oracle, what, ours, theirs, atol=atol, rtol=rtol, test=test))

    return hold
