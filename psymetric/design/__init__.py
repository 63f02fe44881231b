"""Design: who is asked what, in which wording and order, and the prompts that result."""

from __future__ import annotations

from psymetric.design.rendering import render

__all__ = ["render"]
