"""Programs are kept where they are said to be, whether JAX is there yet or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIT = """
import jax, jax.numpy as jnp
with jax.enable_x64(True):
    jax.jit(lambda x: jnp.linalg.eigh(x @ x.T)[0])(jnp.ones((3, 3))).block_until_ready()
"""


def run(code: str, home: Path, **settings: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XDG_"))}
    # Whatever is compiled is kept, so that a quick program is enough.
    own = {"HOME": str(home), "JAX_PLATFORMS": "cpu", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", **settings}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | own, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("first", ["", "import jax\n"], ids=["before JAX", "after JAX"])
def test_programs_are_kept(tmp_path, first):
    code = f"{first}import psymetric as ps\nprint(ps.keep_programs(folder={str(tmp_path / 'kept')!r}))\n{FIT}"
    assert run(code, tmp_path) == str(tmp_path / "kept")
    assert any((tmp_path / "kept").iterdir())


def test_usual_folder_and_the_one_that_jax_was_told(tmp_path):
    code = "import psymetric as ps, sys\nprint(ps.keep_programs())\nassert 'jax' not in sys.modules"
    assert run(code, tmp_path) == str(tmp_path / ".cache" / "psymetric" / "jax")
    assert run(code, tmp_path, XDG_CACHE_HOME=str(tmp_path / "x")) == str(tmp_path / "x" / "psymetric" / "jax")
    assert run(code, tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "j")) == str(tmp_path / "j")
