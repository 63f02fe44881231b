"""Numerical parts that know nothing of measurement: maps, grids, optimisers, provenance."""

__all__: list[str] = []
