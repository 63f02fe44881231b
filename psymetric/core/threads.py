"""Keeping the threads of the linear algebra library out of the way of JAX's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController

__all__ = ["single_threaded_blas"]

_controller = cache(ThreadpoolController)


def single_threaded_blas() -> AbstractContextManager[object]:
    """Run the enclosed code with one thread in NumPy's and SciPy's BLAS.

    The threads of OpenBLAS go on spinning for a while after each product. Between evaluations of a compiled density
    they take a core from it, which makes fits on two cores slower by a third; the products there are small.
    """
    return _controller().limit(limits=1, user_api="blas")
