"""Every reference fit is held by a test or has a reason, and a wrong number does not get into the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle_table
import pytest
from oracle_table import compare

TESTS = Path(__file__).parent


@pytest.mark.shared_data
def test_every_reference_fit_is_named_by_a_test_or_has_a_reason(oracles):
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.glob("test_*.py"))
    names = oracle_table.oracle_files(oracles)
    assert len(names) > 60
    named = {name for name in names if f"{name.split('/')[1]}" in text}
    assert oracle_table.not_held(names, named) == []


def test_the_worst_pair_is_kept():
    row = compare("TAM/x", "items", [1.0, 2.002, np.nan], [1.0, 2.0, np.nan], atol=0.01, test="t")
    assert (row.n, row.theirs, row.ours, row.tolerance) == (2, 2.0, 2.002, "0.01")
    assert "| TAM/x | items | 2 | 2 | 2.002 | 2e-03 | 0.01 | t |" in oracle_table.page([row])


def test_a_wrong_number_fails():
    with pytest.raises(AssertionError, match="items"):
        compare("TAM/x", "items", [1.0, 2.02], [1.0, 2.0], atol=0.01, test="t")
