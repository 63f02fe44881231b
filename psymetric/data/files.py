"""Frames from and to files: Parquet, CSV, TSV and JSON lines."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from psymetric.data.messages import counted
from psymetric.errors import DataError

__all__ = ["FoundFrame", "open_text", "read_frame", "readable", "write_frame"]

_METADATA = b"psymetric"
_FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_NO_VALUE = ["", "NA", "NaN", "nan", "<NA>"]
# Words that are plausible labels of a condition ("None") yet never a rating.
_NO_ANSWER = [*_NO_VALUE, "null", "NULL", "None", "N/A", "n/a", "#N/A"]
# What a spreadsheet takes for the start of a formula (OWASP, "CSV injection").
_FORMULA = r"[=+\-@\t\r]"


@dataclass(frozen=True)
class FoundFrame:
    """What a file held: a frame that narwhals reads, and the metadata psymetric stored beside it, if any."""

    path: Path
    frame: Any
    metadata: dict[str, Any] | None = None


def read_frame(path: Path, *, answers: Iterable[str], who: str, columns: Collection[str] | None = None) -> FoundFrame:
    """Read a file by its suffix.

    Args:
        path: `.parquet`, `.csv`, `.tsv` or `.jsonl`; the text formats also with `.gz`.
        answers: Columns in which words such as `None` and `n/a` mean a missing value, not a label.
        who: The table being read, for messages.
        columns: The only columns to load of a Parquet file, those of them that it has; None loads all.

    Raises:
        DataError: Unknown suffix, no such file, no content, or content that is not of this format.
    """
    kind = _format(path, who=who)
    with readable(path, kind, who=who):
        if kind == "parquet":
            schema = pq.read_schema(path)
            wanted = None if columns is None else [name for name in schema.names if name in columns]
            stored = (schema.metadata or {}).get(_METADATA)
            return FoundFrame(path, pq.read_table(path, columns=wanted), json.loads(stored) if stored else None)
        if kind == "jsonl":
            return FoundFrame(path, _read_json_lines(path))
        return FoundFrame(path, _read_separated(path, "\t" if kind == "tsv" else ",", set(answers), who=who))


@contextmanager
def readable(path: Path, kind: str, *, who: str) -> Generator[None]:
    """Turn what goes wrong while a file is read into a DataError that names the file and the mend."""
    try:
        yield
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{who}: {path} is empty; it needs at least one row.") from error
    except FileNotFoundError as error:
        raise DataError(f"{who}: there is no file {path}; check the path (now in {Path.cwd()}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{who}: {path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{who}: cannot read {path} as {kind}: {error}; check that the suffix fits the content."
        ) from error


def write_frame(frame: pd.DataFrame, path: Path, *, metadata: dict[str, Any] | None, who: str) -> Path:
    """Write a frame by the suffix of its file, whole or not at all.

    Only Parquet keeps `metadata`. Texts that a spreadsheet would run as a formula get a leading apostrophe in CSV and
    TSV, which `read_frame` takes off.

    Raises:
        DataError: Unknown suffix, or the file cannot be written.
    """
    kind = _format(path, who=who)
    partial = path.with_name(f".{path.name}.partial")
    try:
        if kind == "parquet":
            table = pa.Table.from_pandas(frame, preserve_index=False)
            stored = {
                **(table.schema.metadata or {}),
                **({_METADATA: json.dumps(metadata).encode()} if metadata else {}),
            }
            pq.write_table(table.replace_schema_metadata(stored), partial)
        else:
            with _open(partial, "wt", packed=path.suffix == ".gz") as handle:
                _write_text(frame, handle, kind)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise DataError(f"{who}: cannot write {path}: {error.strerror or error}; choose another place.") from error
    return path


def _format(path: Path, *, who: str) -> str:
    """Which format the suffix names."""
    packed = path.suffix.lower() == ".gz"
    suffix = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    kind = _FORMATS.get(suffix)
    if kind is None or (packed and kind == "parquet"):
        known = ", ".join(_FORMATS)
        raise DataError(f"{who}: cannot tell the format of {path.name!r}; use one of {known} (text also with .gz).")
    return kind


def open_text(path: Path) -> IO[str]:
    """A text file to read, packed where its name ends in `.gz`."""
    return _open(path, "rt", packed=path.suffix.lower() == ".gz")


def _open(path: Path, mode: Literal["rt", "wt"], *, packed: bool) -> IO[str]:
    """A text file, packed or not, without translation of line ends."""
    if packed:
        return gzip.open(path, mode, encoding="utf-8", newline="")
    return path.open(mode, encoding="utf-8", newline="")


def _write_text(frame: pd.DataFrame, handle: IO[str], kind: str) -> None:
    """One of the text formats."""
    if kind == "jsonl":
        # Python's own writer keeps every digit of a weight; pandas' rounds.
        plain = frame.astype(object).where(frame.notna(), None)
        handle.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in plain.to_dict("records"))
        return
    safe = frame.rename(columns={name: _guard(pd.Series([name]))[0] for name in frame.columns})
    for name, column in safe.items():
        if isinstance(column.dtype, pd.StringDtype):
            safe[name] = _guard(column)
        elif column.dtype == object:
            safe[name] = column.map(lambda cell: _guard(pd.Series([cell]))[0] if isinstance(cell, str) else cell)
    # With this line end the writer quotes cells that hold a bare carriage return, which would else end their row.
    safe.to_csv(handle, sep="\t" if kind == "tsv" else ",", index=False, lineterminator="\r\n")


def _guard(texts: pd.Series[str]) -> pd.Series[str]:
    """The texts with an apostrophe before what a spreadsheet would run; one more where one already stands."""
    return _replaced(texts, rf"'*{_FORMULA}", lambda text: "'" + text)


def _unguard(texts: pd.Series[str]) -> pd.Series[str]:
    """The inverse of `_guard`."""
    return _replaced(texts, rf"''*{_FORMULA}", lambda text: text[1:])


def _replaced(texts: pd.Series[str], start: str, change: Callable[[str], str]) -> pd.Series[str]:
    """The texts, changed where they begin with a pattern; most columns have none and pass untouched."""
    hits = texts.str.match(start).fillna(False).to_numpy(dtype=bool)
    if not hits.any():
        return texts
    changed = texts.copy()
    changed[hits] = texts[hits].map(change)
    return changed


def _read_separated(path: Path, separator: str, answers: set[str], *, who: str) -> pd.DataFrame:
    """A CSV or TSV file with one header line."""
    with open_text(path) as handle:
        header = pd.read_csv(handle, sep=separator, nrows=0, encoding="utf-8").columns
    names = {name: _unguard(pd.Series([str(name).removeprefix("\ufeff")]))[0] for name in header}
    if separator == "," and len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise DataError(
            f"{who}: {path} has the one column {header[0]!r}, so it is not separated by commas; "
            "name it .tsv if by tabs, else read it with pandas.read_csv(path, sep=';') and use from_frame."
        )
    frame = pd.read_csv(
        path,
        sep=separator,
        encoding="utf-8",
        compression="infer",
        keep_default_na=False,
        na_values={name: _NO_ANSWER if names[name] in answers else _NO_VALUE for name in header},
        low_memory=False,
    )
    frame = frame.rename(columns=names)
    for name, column in frame.items():
        if isinstance(column.dtype, pd.StringDtype):
            frame[name] = _unguard(column)
    return frame


def _read_json_lines(path: Path) -> pd.DataFrame:
    """One JSON object per line; labels keep the type they have there."""
    records: list[dict[str, Any]] = []
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number} is not JSON ({error.msg})") from error
            if not isinstance(record, dict):
                raise ValueError(f"line {number} holds no JSON object")
            records.append(record)
    if not records:
        raise pd.errors.EmptyDataError(f"{counted(0, 'record')}")
    return pd.DataFrame.from_records(records)
