"""Judges against an outside criterion: people, or gold labels."""

__all__: list[str] = []
