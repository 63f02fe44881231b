"""Measurement models, one per file."""

__all__: list[str] = []
