"""What to ask next, and what asking so saves."""

__all__: list[str] = []
