"""The documentation keeps up with the code: every public name and every exception has its place."""

from __future__ import annotations

import re
from pathlib import Path

import psymetric
from psymetric import errors

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_public_name_has_a_reference_page() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    rendered = set(re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE))
    exports: dict[str, str] = psymetric._EXPORTS  # pyright: ignore[reportPrivateUsage]
    assert {module for module in exports.values() if module not in rendered} == set()


def test_every_exception_has_its_mend() -> None:
    headings = set(re.findall(r"^#+ `?(\w+)`?$", (DOCS / "errors.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for name in errors.__all__ if name not in headings} == {"PsymetricError"}
