"""Engines, and the fit they return."""

__all__: list[str] = []
