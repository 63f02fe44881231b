"""Ways of asking a model, one per file."""

from __future__ import annotations

from psymetric.providers.base import ModelEndpoint, Price, Prompt, Provider, Reply, Usage, request_key

__all__ = ["ModelEndpoint", "Price", "Prompt", "Provider", "Reply", "Usage", "request_key"]
