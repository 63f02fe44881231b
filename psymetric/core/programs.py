"""Keeping compiled programs between processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["keep_programs"]

_SETTINGS = {"jax_persistent_cache_min_compile_time_secs": 0.05, "jax_compilation_cache_max_size": 2**30}
"""Compiling is worth keeping from 50 ms on. With a limit of size JAX locks the folder; without one a process may read
a program that another is still writing."""


def keep_programs(*, folder: str | Path | None = None) -> Path:
    """Keep compiled programs in a folder, so that the first fit of a later process need not compile them.

    Compiling is most of a first fit's time: two hundred thousand ratings take 1.7 s where the programs are found
    and 5 to 6 s where they are not. Call it once, before the first fit; JAX then keeps every program of the process
    that took 50 ms or more to compile, psymetric's and any other, up to 1 GiB. The command line does so by itself.

    Args:
        folder: Where to; it is made when first written to. By default what `JAX_COMPILATION_CACHE_DIR` says, else
            `psymetric/jax` in `XDG_CACHE_HOME` or `~/.cache`.

    Returns:
        The folder.
    """
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "psymetric" / "jax"
    chosen = Path(folder) if folder is not None else Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or usual)
    own = {name: value for name, value in _SETTINGS.items() if name.upper() not in os.environ}
    settings = {"jax_compilation_cache_dir": str(chosen), **own}
    if "jax" not in sys.modules:
        # JAX reads these when it is imported, which a command that only prints its help need not wait for.
        os.environ.update({name.upper(): str(value) for name, value in settings.items()})
        return chosen
    import jax

    for name, value in settings.items():
        jax.config.update(name, value)
    return chosen
