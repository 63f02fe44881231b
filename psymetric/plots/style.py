"""The one look of every figure: colours that follow the page's theme, text that follows its font."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from html import escape
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, Transform, blended_transform_factory

__all__ = [
    "ACCENT",
    "BACK",
    "GRID",
    "INK",
    "LINE",
    "SERIES",
    "SOFT",
    "WARN",
    "canvas",
    "panel_axes",
    "pixels",
    "pixels_by_data",
    "round_ticks",
    "shorten",
    "style",
    "text_width",
    "to_svg",
    "visible",
]

# Drawn in these colours and written as CSS variables, so that one figure serves light, dark and print.
INK: Final = "#1b1f24"
SOFT: Final = "#59636e"
LINE: Final = "#c5ccd3"
GRID: Final = "#e9edf0"
BACK: Final = "#fefefe"
ACCENT: Final = "#0b62a4"
WARN: Final = "#b5470b"
# After Okabe & Ito (2008), darkened where thin lines on white need it; told apart under every common colour blindness.
SERIES: Final = (ACCENT, "#a06000", "#00805c", "#a94f83", "#2579a8", WARN, SOFT)

_VARIABLES: Final = {
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
    GRID: "grid",
    BACK: "back",
    ACCENT: "accent",
    WARN: "warn",
    SERIES[1]: "series-2",
    SERIES[2]: "series-3",
    SERIES[3]: "series-4",
    SERIES[4]: "series-5",
}

_SETTINGS: Final[Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 12,
    "text.color": INK,
    "text.parse_math": False,  # a label is text, also where it holds dollar signs
    "text.usetex": False,
    "axes.edgecolor": LINE,
    "axes.linewidth": 1,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 12,
    "axes.facecolor": "none",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,
    "figure.facecolor": BACK,
    "figure.dpi": 72,
    "savefig.facecolor": "none",
    "xtick.color": LINE,
    "xtick.labelcolor": SOFT,
    "xtick.labelsize": 11.5,
    "xtick.major.size": 4,
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 12,
    "ytick.major.size": 0,
    "ytick.left": False,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "patch.linewidth": 0,
    "path.simplify": True,
}


@contextmanager
def style() -> Generator[None]:
    """The figures' settings, for the time of drawing."""
    with rc_context(_SETTINGS), warnings.catch_warnings():
        # Widths of characters that the measuring font lacks are guessed; the reader's own font draws them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def canvas(
    width: float, height: float, *, left: float = 8, right: float = 8, top: float = 8, bottom: float = 40
) -> tuple[Figure, Axes]:
    """A figure of `width` by `height` pixels with one axes, margins in pixels."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasSVG(figure)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    return figure, figure.add_axes(box)


def panel_axes(
    width: float, count: int, *, across: int, tall: float, left: float, gap: float, head: float, foot: float
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` equal panels in rows of `across`, in pixels: `head` above and `foot` below each of them.

    Args:
        width: Of the figure.
        count: Panels.
        across: Panels in a row.
        tall: Height of a panel.
        left: Margin before the first column.
        gap: Between columns.
        head: Room above each panel.
        foot: Room below each panel.
    """
    down = -(-count // across)
    height = down * (head + tall + foot)
    wide = (width - left - gap * (across - 1) - 8) / across
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasSVG(figure)
    panels: list[Axes] = []
    for index in range(count):
        row, column = divmod(index, across)
        x, y = left + column * (wide + gap), height - (row + 1) * (head + tall + foot) + foot
        panels.append(figure.add_axes((x / width, y / height, wide / width, tall / height)))
    return figure, panels


def visible(label: object) -> str:
    """A label as one line of visible text.

    Line breaks become spaces. Characters that reorder or hide text (bidirectional controls, zero width, other control
    characters) are written as their code, ⟨U+202E⟩, so that a name cannot pose as another.
    """
    text = str(label)
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_shown, text))
    return " ".join(text.split())


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cf", "Cc", "Cs", "Co", "Cn") and character not in "\t\n\r\u200d"
    return f"⟨U+{ord(character):04X}⟩" if hidden else character


def shorten(label: object, limit: int) -> str:
    """A label cut to `limit` visible characters, in the middle: names of one family are least alike at the ends."""
    text = visible(label)
    if len(text) <= limit:
        return text
    tail = max((limit - 1) // 3, 1)
    return f"{text[: limit - 1 - tail]}…{text[-tail:]}"


def round_ticks(most: int, *, whole: bool = False) -> MaxNLocator:
    """Ticks at round numbers: at most `most` intervals, at whole numbers only if `whole`."""
    return MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10], integer=whole)


def text_width(label: str, size: float = 12) -> float:
    """Roughly how many pixels a label takes in a user-interface font."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in label)
    return (len(label) * 0.56 + wide * 0.46) * size


def pixels(axes: Axes) -> Transform:
    """Places things in pixels from the lower left corner of the figure, at 72 to the inch whatever it is saved at."""
    return Affine2D().scale(1 / 72) + axes.figure.dpi_scale_trans


def pixels_by_data(axes: Axes) -> Transform:
    """Places things at x in pixels from the left edge of the figure and y in data."""
    return blended_transform_factory(pixels(axes), axes.transData)


def to_svg(figure: Figure, *, name: str, title: str, description: str) -> str:
    """The figure as one `<svg>` element for an HTML page.

    Colours become CSS variables with the light theme's value as fallback, text takes the page's font, and the ground is
    left to the page. The bytes depend on the content alone.

    Args:
        figure: What `canvas` made.
        name: Unique within the page; keeps the identifiers of two figures apart.
        title: Accessible name.
        description: What it shows, for who cannot see it.
    """
    buffer = io.StringIO()
    without = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with style(), rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", facecolor="none", metadata=without)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Matplotlib's own style sheet would apply to the whole page.
    text = re.sub(
        r"<!--.*?-->|<metadata>.*?</metadata>|<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL
    )
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    width, height = (float(box[1]), float(box[2])) if box else (0.0, 0.0)
    used = set(re.findall(r"#([\w-]+)[\")]", text))
    text = re.sub(r' id="([\w.-]+)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(r"<[^>]+>", lambda tag: _themed(tag[0]), text)
    head = (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>'
    )
    body = re.sub(r"<defs>\s*</defs>|<path d=\"[^\"]*\" style=\"fill: none\"/>", "", text[text.index(">") + 1 :])
    body = re.sub(r">\s+<", "><", body).replace("<g></g>", "")
    return head + body.strip()


def _themed(tag: str) -> str:
    """One tag with shorter numbers, themed colours and the page's font."""
    tag = re.sub(r"(\d\.\d\d)\d+", r"\1", tag)
    tag = re.sub(r"font: (?:(\w+) )?([\d.]+)px [^;\"]+", _font, tag)
    tag = re.sub(r"font-family: '[^']*'; | transform=\"rotate\(-0 [^)]*\)\"", "", " ".join(tag.split()))
    tag = re.sub(r"; (?:stroke-linejoin: (?:miter|round)|stroke-linecap: butt)", "", tag)
    return re.sub(r"#[0-9a-f]{6}\b", lambda hexa: _variable(hexa[0]), tag)


def _font(found: re.Match[str]) -> str:
    weight = "" if found[1] in (None, "normal") else f"font-weight: {found[1]}; "
    return f"{weight}font-size: {found[2]}px"


def _variable(colour: str) -> str:
    return f"var(--{_VARIABLES[colour]}, {colour})" if colour in _VARIABLES else colour
