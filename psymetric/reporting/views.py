"""What the page is made of: sections of blocks, with every text final and every number already formatted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import pandas as pd
from matplotlib.figure import Figure as Drawing

from psymetric.plots.style import to_svg

__all__ = ["Block", "Cell", "Column", "Figure", "Heading", "KeyFigure", "Link", "Section", "Table", "Text", "draw"]

WIDE, NARROW = 720.0, 340.0


@final
@dataclass(frozen=True)
class Figure:
    """A figure in two widths, one of which is shown, and its one-line reading."""

    wide: str
    narrow: str
    reading: str
    kind: str = "figure"


@final
@dataclass(frozen=True)
class Text:
    """A paragraph, or a list of them."""

    paragraphs: tuple[str, ...]
    listed: bool = False
    quiet: bool = False
    code: bool = False
    kind: str = "text"


@final
@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: str = "heading"


@final
@dataclass(frozen=True)
class Cell:
    """One table cell: its text, what it sorts by, its full text where that was cut, and its looks."""

    text: str
    sort: float | str = ""
    full: str = ""
    looks: str = ""
    bar: float | None = None


@final
@dataclass(frozen=True)
class Column:
    """A column's heading, what it means, and whether it holds numbers."""

    heading: str
    meaning: str
    numeric: bool


@final
@dataclass(frozen=True)
class Link:
    """A file to save: its name, its `data:` address, and what it is called."""

    name: str
    href: str
    text: str


@final
@dataclass(frozen=True)
class Table:
    """A table as shown, and the frame behind it with every row and digit."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    label_width: int
    omitted: int
    after: int
    frame: pd.DataFrame
    reading: str = ""
    links: tuple[Link, ...] = ()
    searchable: bool = False
    kind: str = "table"


Block = Figure | Text | Heading | Table


@final
@dataclass(frozen=True)
class Section:
    """A section with its anchor."""

    anchor: str
    heading: str
    blocks: tuple[Block, ...]
    lead: str = ""


@final
@dataclass(frozen=True)
class KeyFigure:
    """One of the three figures of the first screen."""

    heading: str
    value: str
    sentence: str
    figure: Figure | None = None


def draw(
    figure: Callable[[float], Drawing],
    *,
    name: str,
    title: str,
    reading: str,
    description: str | None = None,
    wide: float = WIDE,
) -> Figure:
    """Draw a figure at both widths.

    Args:
        figure: From the width in pixels to the drawing.
        name: Unique within the page.
        title: Accessible name.
        reading: The line under it.
        description: Alternative text; by default the reading.
        wide: The larger width.
    """
    text = reading if description is None else description
    widths = {"w": wide, "n": NARROW}
    first, second = (
        to_svg(figure(width), name=f"{name}-{key}", title=title, description=text) for key, width in widths.items()
    )
    return Figure(first, second, reading)
