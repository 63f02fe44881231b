"""Scores of subjects, fair averages and ranks."""

__all__: list[str] = []
