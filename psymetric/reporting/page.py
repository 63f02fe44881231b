"""One self-contained HTML page from its parts."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, final

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from psymetric.reporting.claims import Claim
from psymetric.reporting.views import Figure, KeyFigure, Link, Section

__all__ = ["Page", "in_short", "render"]

_FOLDER = "templates"


@final
@dataclass(frozen=True)
class Page:
    """Everything the template reads.

    Attributes:
        title: Heading of the page.
        measured: What was measured and how, in one or two sentences.
        claims: Sentences of the first screen.
        cautions: Notes that belong beside them.
        measures: The first figure, or None where there is nothing to draw.
        key_figures: The three figures below.
        sections: The rest, in order.
        downloads: Files to save from the page.
        footer: Last line.
    """

    title: str
    measured: str
    claims: Sequence[Claim]
    cautions: Sequence[str]
    measures: Figure | None
    key_figures: Sequence[KeyFigure]
    sections: Sequence[Section]
    downloads: Sequence[Link]
    footer: str


def _read(name: str) -> str:
    return files("psymetric.reporting").joinpath(_FOLDER, name).read_text(encoding="utf-8")


def render(page: Page) -> str:
    """The page as HTML.

    Everything is escaped but figures, style and script, which psymetric makes. A content security policy forbids every
    request and every script but the one whose hash it names.
    """
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _read("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; form-action "
        "'none'"
    )
    values: dict[str, Any] = {
        "page": page,
        "policy": policy,
        "style": Markup(_read("style.css")),  # noqa: S704  # our own file
        "script": Markup(script),  # noqa: S704  # our own file
        "trusted": _trusted,
    }
    return environment.get_template("report.html.j2").render(values)


def _trusted(svg: str) -> Markup:
    """A figure: matplotlib has escaped the labels in it."""
    return Markup(svg)  # noqa: S704


def in_short(title: str, claims: Sequence[str]) -> str:
    """Title and claims, for a notebook."""
    listed = "".join(f"<li>{html.escape(claim)}</li>" for claim in claims)
    return f"<b>{html.escape(title)}</b><ul>{listed}</ul>"
