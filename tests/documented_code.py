"""The Python of a page, block by block, with the output that the page prints below it."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
_BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def blocks(page: str) -> list[tuple[str, str | None]]:
    """Code and printed output (None where the page shows none) of each Python block, in order."""
    found = _BLOCK.finditer((DOCS / page).read_text(encoding="utf-8"))
    return [(match["code"], match["output"]) for match in found]


def run(page: str, *, names: dict[str, object] | None = None) -> list[tuple[str | None, str]]:
    """What the page says each block prints, and what it does print; the blocks share their names."""
    names = {} if names is None else names
    outputs: list[tuple[str | None, str]] = []
    for code, claimed in blocks(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"docs/{page}", "exec"), names)
        outputs.append((claimed, printed.getvalue()))
    return outputs


def same_text(claimed: str, printed: str) -> bool:
    """Equal but for spaces and one unit of a number's last printed digit, which another machine may round away."""
    if [*_NUMBER.split("".join(claimed.split()))] != [*_NUMBER.split("".join(printed.split()))]:
        return False
    pairs = zip(_NUMBER.findall(claimed), _NUMBER.findall(printed), strict=True)
    return all(abs(float(one) - float(other)) <= 1.001 * _unit(one) for one, other in pairs)


def _unit(number: str) -> float:
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def calls(page: str) -> list[str]:
    """The Python in the second column of a page's tables."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    cells = [line.split(" | ")[1] for line in lines if line.startswith("| ") and line.count(" | ") >= 2]
    return [call for cell in cells for call in re.findall(r"`([^`]+)`", cell)]
