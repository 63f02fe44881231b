"""Known-truth subjects and judges, and the loopback server that speaks for them."""

__all__: list[str] = []
