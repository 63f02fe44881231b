"""Asking models: runner, store, parsing, tables."""

__all__: list[str] = []
