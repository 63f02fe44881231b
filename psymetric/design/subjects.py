"""The texts of a study, read from a file or from a built-in set."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from psymetric.design.settings import TextSource
from psymetric.errors import StudyError
from psymetric.instruments.library import list_texts, read_builtin_texts
from psymetric.instruments.yaml_files import nearest

__all__ = ["Texts", "read_texts"]

_READERS: Final = (".jsonl", ".csv", ".parquet")


@dataclass(frozen=True)
class Texts:
    """Texts to be judged, all fields of equal length.

    Attributes:
        ids: What names each text.
        texts: The texts.
        systems: Pair tasks: what each text stands for in a comparison; the ids where none was given.
        groups: Pair tasks: only texts of one group are compared; empty strings where none was given.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    systems: tuple[str, ...]
    groups: tuple[str, ...]

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the content."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, list[str]]:
        """Plain data."""
        return {name: list(getattr(self, name)) for name in ("ids", "texts", "systems", "groups")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Texts:
        """Inverse of `to_dict`."""
        return cls(**{name: tuple(data[name]) for name in ("ids", "texts", "systems", "groups")})


def read_texts(source: TextSource, *, folder: str | Path = ".") -> Texts:
    """Read the texts of a study.

    Args:
        source: File or built-in set, and its columns.
        folder: What a relative path is relative to.

    Raises:
        StudyError: No such file or set, a malformed line (with its number), no rows, an unknown column (with the
            nearest), an empty cell or a repeated id (with the count and the first row).
    """
    frame, name = _frame(source, Path(folder))
    if frame.empty:
        raise StudyError(f"{name}: holds no rows")
    columns = {"id": source.id, "text": source.text, "system": source.system, "group": source.group}
    for field, column in columns.items():
        if column is not None and column not in frame.columns:
            raise StudyError(f"{name}: no column {column!r} for subjects.{field}; {nearest(column, frame.columns)}")
    found = {field: _cells(frame, column, name) for field, column in columns.items() if column is not None}
    repeated = pd.Series(found["id"]).duplicated()
    if repeated.any():
        first = int(repeated.to_numpy().argmax())
        raise StudyError(
            f"{name}: column {source.id!r} must name each text once; {int(repeated.sum())} of {len(frame)} rows repeat "
            f"an earlier one, first {found['id'][first]!r} in row {first + 1}"
        )
    blank = ("",) * len(frame)
    return Texts(found["id"], found["text"], found.get("system", found["id"]), found.get("group", blank))


def _frame(source: TextSource, folder: Path) -> tuple[pd.DataFrame, str]:
    path = folder / source.from_
    if not path.exists() and source.from_ in list_texts():
        return _json_lines(read_builtin_texts(source.from_), source.from_), source.from_
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        known = ", ".join(list_texts())
        raise StudyError(f"{path}: texts are read from {', '.join(_READERS)} files, or by name from: {known}")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path), str(path)
        text = path.read_text("utf-8-sig")
        if suffix == ".csv":
            return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False), str(path)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file") from None
    except pd.errors.EmptyDataError:
        return pd.DataFrame(), str(path)
    except (OSError, ValueError) as error:  # UnicodeDecodeError, ParserError and ArrowInvalid are ValueErrors
        raise StudyError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    return _json_lines(text, str(path)), str(path)


def _json_lines(text: str, name: str) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    # Not splitlines: JSON strings may hold U+2028 and other characters that it takes for line ends.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise StudyError(f"{name}: line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise StudyError(f"{name}: line {number} must hold one object {{…}}, got a {type(row).__name__}")
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _cells(frame: pd.DataFrame, column: str, name: str) -> tuple[str, ...]:
    values = frame[column].tolist()
    empty = [i for i, value in enumerate(values) if value is None or value != value or not str(value).strip()]
    if empty:
        raise StudyError(
            f"{name}: column {column!r} is empty in {len(empty)} of {len(values)} rows, first in row {empty[0] + 1}; "
            f"fill or remove them"
        )
    nested = [i for i, value in enumerate(values) if isinstance(value, (list, dict))]
    if nested:
        raise StudyError(
            f"{name}: column {column!r} holds lists or objects in {len(nested)} of {len(values)} rows, first in row "
            f"{nested[0] + 1}; give plain text"
        )
    return tuple(str(value) for value in values)
