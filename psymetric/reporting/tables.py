"""Frames as tables of a page: formatted, cut to what can be read, with the whole behind a link."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import pandas as pd

from psymetric.reporting.rounding import percent, plain, rounded, signed, typical_se
from psymetric.reporting.views import Cell, Column, Link, Table

__all__ = ["Show", "csv_text", "file_links", "json_rows", "json_text", "make_table", "strict"]

_SHOWN = 300
_LABEL = 60
_LARGEST_JSON = 2_000
_LARGEST_LINK = 500_000
# What a spreadsheet takes for the start of a formula (OWASP, "CSV injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Kind = Literal[
    "label", "estimate", "se", "range", "number", "count", "share", "percent", "probability", "p", "flag", "text"
]


@final
@dataclass(frozen=True)
class Show:
    """How one column is shown.

    Attributes:
        column: Name in the frame.
        heading: Heading in the table.
        kind: What it holds. "range" shows `column` to `upper`, "share" gets a bar and "percent" none, "flag" the
            warning colour.
        meaning: A sentence for the heading.
        se: Column of standard errors that decides the digits of an estimate.
        digits: Digits of a plain number.
        upper: Second column of a range.
    """

    column: str
    heading: str
    kind: Kind
    meaning: str = ""
    se: str = ""
    digits: int = 2
    upper: str = ""


def make_table(
    key: str,
    frame: pd.DataFrame,
    shown: Sequence[Show],
    *,
    caption: str,
    reading: str = "",
    most: int = _SHOWN,
    both_ends: bool = True,
) -> Table:
    """A table of a frame; beyond `most` rows the first and last are shown, or the first alone.

    Args:
        key: File name without suffix, unique within the page.
        frame: Every row and digit, in the order to show.
        shown: Columns to show; those the frame lacks, or that hold nothing, are left out.
        caption: What the table holds.
        reading: What to see in it.
        most: Rows to show.
        both_ends: Half of these from the end.
    """
    columns = [show for show in shown if show.column in frame.columns and _holds(frame[show.column])]
    head = len(frame) if len(frame) <= most else most // 2 if both_ends else most
    rows = frame if len(frame) <= most else pd.concat([frame.head(head), frame.tail(most - head)])
    cells = [_cells(show, rows, frame) for show in columns]
    return Table(
        key=key,
        caption=caption,
        columns=tuple(
            Column(show.heading, show.meaning, show.kind not in ("label", "flag", "text")) for show in columns
        ),
        rows=tuple(zip(*cells, strict=True)),
        label_width=min(max((len(row.text) for row in cells[0]), default=4), 26) if cells else 4,
        omitted=max(len(frame) - most, 0),
        after=head,
        frame=frame,
        reading=reading,
        links=_links(key, frame),
        searchable=len(frame) > 8,
    )


def _holds(column: pd.Series) -> bool:
    """Whether a column says anything."""
    return bool(((column != "") & column.notna()).any())


def _cells(show: Show, rows: pd.DataFrame, frame: pd.DataFrame) -> list[Cell]:
    values: list[Any] = rows[show.column].tolist()
    if show.kind == "range":
        se = typical_se(((frame[show.upper] - frame[show.column]) / 4).tolist()) if not show.se else math.nan
        errors = typical_se(frame[show.se].tolist()) if show.se else se
        ends: list[Any] = rows[show.upper].tolist()
        return [
            Cell(f"{rounded(low, errors)} to {rounded(high, errors)}" if _known(low) else "–", _key(low))
            for low, high in zip(values, ends, strict=True)
        ]
    if show.kind in ("estimate", "se"):
        se = typical_se(frame[show.se or show.column].tolist())
        write = signed if show.kind == "estimate" else rounded
        return [Cell(write(_number(value), se), _key(value)) for value in values]
    return [_cell(show, value) for value in values]


def _cell(show: Show, value: Any) -> Cell:
    missing = _is_missing(value)
    if show.kind == "flag":
        # The reasons in short; the numbers behind them stand in the title and in the file.
        full = "" if missing else plain(value)
        text = "; ".join(reason.partition(":")[0] for reason in full.split("; "))
        return Cell(text, text.casefold(), full if full != text else "", "flag")
    if show.kind in ("label", "text"):
        text = "" if missing else plain(value)
        full = text if len(text) > _LABEL else ""
        shown = plain(text, _LABEL) if show.kind == "label" else text
        return Cell(shown, text.casefold(), full if shown != text else "")
    if missing:
        return Cell("–", -math.inf)
    if show.kind == "count":
        return Cell(f"{value:,.1f}".removesuffix(".0"), float(value))
    if show.kind == "share":
        return Cell(percent(float(value)), float(value), bar=min(max(float(value), 0.0), 1.0))
    if show.kind == "percent":
        return Cell(percent(float(value)), float(value))
    if show.kind == "p":
        return Cell("<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0"), float(value))
    if show.kind == "probability":
        sure = "<.01" if value < 0.005 else ">.99" if value > 0.995 else f"{value:.2f}".removeprefix("0")
        return Cell(sure, float(value))
    text = f"{value:,.{show.digits}f}"
    return Cell(text.replace("-", "−") if float(text.replace(",", "")) else text.removeprefix("-"), float(value))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _known(value: Any) -> bool:
    return value is not None and not pd.isna(value) and math.isfinite(value)


def _number(value: Any) -> float:
    return math.nan if value is None or pd.isna(value) else float(value)


def _key(value: Any) -> float:
    return float(value) if _known(value) else -math.inf


def _links(key: str, frame: pd.DataFrame) -> tuple[Link, ...]:
    csv = _data_link(f"{key}.csv", csv_text(frame), "CSV")
    if len(frame) > _LARGEST_JSON:
        return (csv,)
    return (csv, _data_link(f"{key}.json", json_text(json_rows(frame)), "JSON"))


def file_links(texts: Mapping[str, str]) -> tuple[Link, ...]:
    """Files that stand beside the page, inside it too where they are small enough."""
    return tuple(_data_link(name, text, name) for name, text in texts.items() if len(text) <= _LARGEST_LINK)


def _data_link(name: str, content: str, text: str) -> Link:
    """A link that saves `content` as the file `name`, without any request."""
    packed = base64.b64encode(content.encode()).decode()
    media = "application/json" if name.endswith(".json") else "text/csv"
    return Link(name, f"data:{media};charset=utf-8;base64,{packed}", text)


def csv_text(frame: pd.DataFrame) -> str:
    """The frame as CSV with eight significant digits; texts a spreadsheet would run as a formula get an apostrophe."""
    safe = frame.rename(columns={name: _guard(str(name)) for name in frame.columns})
    for name, column in safe.items():
        if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            safe[name] = column.astype(object).map(lambda cell: _guard(cell) if isinstance(cell, str) else cell)
    buffer = io.StringIO()
    safe.to_csv(buffer, index=False, lineterminator="\n", float_format="%.8g")
    return buffer.getvalue()


def _guard(text: str) -> str:
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as strict JSON values: what is not a finite number becomes null."""
    return [{str(name): strict(value) for name, value in row.items()} for row in frame.to_dict("records")]


def json_text(values: Any, *, indent: int | None = None) -> str:
    """Strict JSON of values that `strict` or `json_rows` made."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False, indent=indent)


def strict(value: Any) -> Any:
    """A value that strict JSON can hold."""
    if isinstance(value, Mapping):
        return {str(name): strict(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [strict(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return strict(value.tolist())
    if isinstance(value, np.generic):
        return strict(value.item())
    if value is None or value is pd.NA or isinstance(value, (bool, int, str)):
        return None if value is pd.NA else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
