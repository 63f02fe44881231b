"""The `psymetric` command: every command is one public function plus arguments, and says where it wrote."""

from __future__ import annotations

from psymetric.cli.app import app

__all__ = ["app"]
