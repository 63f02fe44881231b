"""Figures of a report, one per file, as inline SVG."""

__all__: list[str] = []
