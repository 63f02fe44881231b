"""What moves a result: priors and assumptions."""

__all__: list[str] = []
