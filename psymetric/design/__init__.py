"""Design: who is asked what, in which wording and order, and the prompts that result."""

from __future__ import annotations

from psymetric.design.plan import Plan, plan
from psymetric.design.rendering import render
from psymetric.design.study import Study

__all__ = ["Plan", "Study", "plan", "render"]
