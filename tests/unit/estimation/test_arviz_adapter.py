"""ArviZ loads where warnings are errors, on a day on which it has not been loaded yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLAIN = "import arviz"
OURS = "from psymetric.estimation.arviz_adapter import load_arviz; print(load_arviz().__version__)"


def first_import_of_the_day(code: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-W", "error::FutureWarning", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_daily_notice_does_not_stop_a_fit(tmp_path: Path) -> None:
    if first_import_of_the_day(PLAIN, tmp_path).returncode == 0:
        pytest.skip("this ArviZ gives no notice")
    loaded = first_import_of_the_day(OURS, tmp_path)
    assert loaded.returncode == 0, loaded.stderr
