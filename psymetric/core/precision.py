"""Double precision for the likelihood engines, without touching JAX's process-wide setting."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import jax

__all__ = ["double_precision"]


@contextmanager
def double_precision() -> Generator[None]:
    """Run the enclosed JAX code in float64.

    Log-likelihood differences of 1e-6 on a total of 1e6 decide convergence; float32 cannot hold them.
    """
    with jax.enable_x64(True):
        yield
