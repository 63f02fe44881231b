"""The files of a report on disk: the page, and its numbers beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from psymetric.errors import DataError

__all__ = ["save_all"]


def save_all(page: str, beside: Mapping[str, str], path: Path, *, name: str = "report.html") -> Path:
    """Write the page `path` (or into a folder, as `name`) and the texts beside it by name; each whole or not at all.

    Raises:
        DataError: The name is not one of a page, or a file cannot be written.
    """
    if path.suffix == "" or path.is_dir():
        path = path / name
    if path.suffix.lower() not in (".html", ".htm"):
        raise DataError(f"report: {path.name!r} is not the name of a page; end it in .html, or give a folder")
    for target, text in {**{path.with_name(name): text for name, text in beside.items()}, path: page}.items():
        _write(target, text)
    return path


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A lone surrogate from a broken label must not keep the page from being written.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise DataError(f"report: cannot write {path}: {error.strerror or error}; choose another place") from error
