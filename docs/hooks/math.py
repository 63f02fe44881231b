"""Turn the TeX of the docstrings into MathML while the site is built, so that no page needs a script from elsewhere."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

__all__ = ["on_page_content"]

_FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
    """Replace each formula of a rendered page (the build calls this with more than is needed)."""

    def mathml(match: re.Match[str]) -> str:
        return convert(html.unescape(match["tex"]).strip(), display="block" if match["tag"] == "div" else "inline")

    return _FORMULA.sub(mathml, content)
