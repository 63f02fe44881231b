"""Fit statistics, facet summaries and bias analysis."""

__all__: list[str] = []
