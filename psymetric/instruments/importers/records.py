"""Records of a file of votes or ratings: the fields that are known, and where in the file each record stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import kinds_of, plain
from psymetric.data.columns import native_frame
from psymetric.data.files import open_text, read_frame, readable
from psymetric.data.messages import counted, listing
from psymetric.errors import DataError

__all__ = ["Records", "Repeats", "read_records"]

Repeats = Literal["error", "first", "keep"]
"""What to do with a vote that stands in a file twice: refuse it, keep the first, or take both for votes."""

_ABSENT: Final = object()
_DIGITS: Final = 12
_LOOKED_AT: Final = 1000


@final
@dataclass(frozen=True)
class Records:
    """Records of a file, without the texts that nobody asked for.

    Attributes:
        path: The file.
        who: The importer, for messages.
        frame: One row per record, one column per known field that occurs; cells as they stand in the file.
        places: Where each record stands in the file, shape (records,): its line, counted from 1, or where records have
            no lines of their own its number, counted from 0.
        by_line: Which of the two.
        absent: Field -> mask of the records without it, for fields that only some records have.
    """

    path: Path
    who: str
    frame: pd.DataFrame
    places: NDArray[np.int64]
    by_line: bool
    absent: Mapping[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.frame)

    def has(self, *fields: str) -> bool:
        """Whether the file knows all of these fields."""
        return all(name in self.frame.columns for name in fields)

    def first_of(self, fields: Sequence[str]) -> str:
        """The first of several names of one field that the file uses.

        Raises:
            DataError: It uses none of them.
        """
        for name in fields:
            if name in self.frame.columns:
                return name
        names = " or ".join(repr(name) for name in fields)
        raise DataError(
            f"{self.who}: {self.path} has no field {names}; of the fields of this format it has "
            f"{listing(self.frame.columns, shown=12)}. Check the file and the format."
        )

    def values(self, field: str) -> pd.Series[Any]:
        """The cells of a field that every record must have, null where the file says null.

        Raises:
            DataError: No record, or not every record, has the field.
        """
        name = self.first_of((field,))
        if name in self.absent:
            raise self.error(f"field {name!r} is missing", self.absent[name], [], "add it, or drop these records")
        return self.frame[name]

    def labels(self, field: str) -> pd.Series[Any]:
        """The cells of a field of names: all texts, or all numbers, none of them empty.

        Raises:
            DataError: A name is missing, empty, or of another type than the rest.
        """
        values = self.values(field)
        try:
            codes, found = pd.factorize(values)
        except TypeError:
            odd = np.array([not isinstance(cell, (str, int, float)) for cell in values], dtype=bool)
            raise self.error(
                f"field {field!r} holds lists or objects", odd, values[odd], "give one text or number"
            ) from None
        names = [plain(label) for label in found]
        blank = [
            place for place, name in enumerate(names) if name is None or (isinstance(name, str) and not name.strip())
        ]
        empty = (codes < 0) | np.isin(codes, blank)
        if empty.any():
            raise self.error(f"field {field!r} is empty", empty, [], "fill it in, or drop these records")
        kinds = kinds_of(name for name in names if name is not None)
        if len(kinds) > 1:
            odd = np.isin(codes, [place for place, name in enumerate(names) if not isinstance(name, str)])
            what = f"field {field!r} mixes {' and '.join(sorted(kinds))} labels"
            raise self.error(what, odd, values[odd], "give them one type")
        return values

    def numbers(self, field: str) -> NDArray[np.float64]:
        """The cells of a field of numbers as they stand, NaN where the file says null; shape (records,).

        Raises:
            DataError: A cell is a text, a truth value, an object or infinite.
        """
        values = self.values(field)
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        odd = values.notna().to_numpy(dtype=bool) & ~np.isfinite(numbers)
        if values.dtype == object:
            odd |= np.array([isinstance(cell, (bool, str)) for cell in values], dtype=bool)
        if odd.any():
            raise self.error(f"field {field!r} holds what is no number", odd, values[odd], "give finite numbers")
        return numbers

    def texts(self, field: str) -> pd.Series[Any]:
        """A short name of each text instead of the text: the first digits of its SHA-256, the same in every file.

        Raises:
            DataError: A cell is no text.
        """
        values = self.labels(field)
        codes, found = pd.factorize(values)
        if odd := [place for place, text in enumerate(found) if not isinstance(text, str)]:
            mask = np.isin(codes, odd)
            raise self.error(f"field {field!r} holds what is no text", mask, values[mask], "give the text")
        digests = np.array([sha256(text.encode()).hexdigest()[:_DIGITS] for text in found], dtype=object)
        return pd.Series(digests[codes], index=values.index)

    def lengths(self, field: str) -> NDArray[np.float64]:
        """Characters in the texts of a field, shape (records,).

        Raises:
            DataError: A cell is no text.
        """
        values = self.values(field)
        odd = np.array([not isinstance(cell, str) for cell in values], dtype=bool)
        if odd.any():
            raise self.error(f"field {field!r} holds what is no text", odd, values[odd], "give the text")
        return np.array([len(text) for text in values], dtype=np.float64)

    def refuse_self(self, left: str, right: str) -> None:
        """Raise DataError where a record compares an item with itself."""
        same = (self.frame[left].astype(object) == self.frame[right].astype(object)).to_numpy(dtype=bool)
        if same.any():
            fix = "drop these records: they say nothing about either item"
            raise self.error("items are compared with themselves", same, self.frame.loc[same, left], fix)

    def take(self, rows: NDArray[np.bool_]) -> Records:
        """The records of a mask."""
        absent = {name: mask[rows] for name, mask in self.absent.items() if mask[rows].any()}
        return replace(self, frame=self.frame[rows].reset_index(drop=True), places=self.places[rows], absent=absent)

    def distinct(self, fields: Sequence[str], repeats: Repeats) -> tuple[Records, tuple[str, ...]]:
        """The records without those that repeat an earlier one in all of these fields, and what to note about it.

        A file that lacks one of the fields does not say which of its votes are the same, and stays as it is.

        Raises:
            DataError: There are some, and `repeats` is "error"; or `repeats` is unknown.
        """
        if repeats not in ("error", "first", "keep"):
            raise DataError(f'{self.who}: repeats={repeats!r} is not known: use "error", "first" or "keep"')
        if repeats == "keep" or not self.has(*fields):
            return self, ()
        cells = self.frame[list(fields)]
        try:
            again = cells.duplicated().to_numpy(dtype=bool)
        except TypeError:
            # Cells may be lists, such as FastChat's judge.
            cells = cells.map(lambda cell: tuple(cell) if isinstance(cell, (list, np.ndarray)) else cell)
            again = cells.duplicated().to_numpy(dtype=bool)
        again = again & cells.notna().all(axis="columns").to_numpy(dtype=bool)
        if not again.any():
            return self, ()
        if repeats == "first":
            return self.take(~again), (
                f"{counted(int(again.sum()), 'record')} left out, which repeat an earlier vote.",
            )
        row = cells[again].astype(object).iloc[0]
        got = ", ".join(f"{name} {row[name]!r}" for name in fields)
        fix = 'drop them, or say repeats="first" (leave them out) or repeats="keep" (each is a vote of its own)'
        raise self.error("an earlier vote is repeated", again, [], f"the first is of {got}; {fix}")

    def error(self, what: str, bad: NDArray[np.bool_], got: Iterable[Any], fix: str) -> DataError:
        """An error about some records: which file, what, how many, where the first stands, what was found, the mend."""
        first = self.places[int(np.argmax(bad))]
        values = list({repr(value): value for value in islice(got, _LOOKED_AT)}.values())
        shown = f"; got {listing(values)}" if values else ""
        place = f"line {first}" if self.by_line else f"record {first} counting from 0"
        where = f"{int(bad.sum()):,} of {counted(bad.size, 'record')}, first at {place}"
        return DataError(f"{self.who}: {self.path}: {what} ({where}){shown}; {fix}.")


def read_records(path: str | Path, fields: Sequence[str], *, who: str) -> Records:
    """Read the known fields of a file, and nothing else of it.

    Args:
        path: `.jsonl` (one object per line), `.json` (a list of objects), `.csv`, `.tsv`, each also with `.gz`, or
            `.parquet`.
        fields: Names of the fields that the format knows.
        who: The importer, for messages.

    Raises:
        DataError: The file is missing, empty, of another format, or malformed; the message names the line.
    """
    path = Path(path)
    suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if suffix not in (".json", ".jsonl", ".ndjson"):
        whole = read_frame(path, answers=fields, who=who, columns=fields).frame
        frame = native_frame(whole, who=f"{who}: {path}")
        known = frame[[name for name in fields if name in frame.columns]]
        return Records(path, who, known, np.arange(len(frame)), False, {})
    kind = "a list of JSON objects" if suffix == ".json" else "JSON lines"
    with readable(path, kind, who=who):
        return _json_records(path, fields, who, by_line=suffix != ".json")


def _json_records(path: Path, fields: Sequence[str], who: str, *, by_line: bool) -> Records:
    columns: list[list[Any]] = [[] for _ in fields]
    fill = [(column.append, name) for column, name in zip(columns, fields, strict=True)]
    places: list[int] = []
    for place, record in _lines(path) if by_line else _members(path):
        if not isinstance(record, dict):
            raise ValueError(f"{'line' if by_line else 'record'} {place} holds no JSON object")
        places.append(place)
        for append, name in fill:
            append(record.get(name, _ABSENT))
    if not places:
        raise pd.errors.EmptyDataError
    frame: dict[str, pd.Series[Any]] = {}
    absent: dict[str, NDArray[np.bool_]] = {}
    for name, column in zip(fields, columns, strict=True):
        unknown = column.count(_ABSENT)
        if unknown == len(column):
            continue
        if unknown:
            absent[name] = np.array([cell is _ABSENT for cell in column], dtype=bool)
            column = [None if cell is _ABSENT else cell for cell in column]
        frame[name] = pd.Series(column, dtype=object)
    known = pd.DataFrame(frame, index=range(len(places)))
    return Records(path, who, known, np.array(places, dtype=np.int64), by_line, absent)


def _lines(path: Path) -> Iterator[tuple[int, object]]:
    """Line numbers, counted from 1, and what the lines hold."""
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            if line.isspace():
                continue
            try:
                yield number, json.loads(line)
            except RecursionError as error:
                raise ValueError(f"line {number} is nested too deeply") from error
            except ValueError as error:
                raise ValueError(f"line {number} is not JSON ({getattr(error, 'msg', error)})") from error


def _members(path: Path) -> Iterator[tuple[int, object]]:
    """Places, counted from 0, and members of the one list that the file holds."""
    with open_text(path) as handle:
        try:
            whole = json.load(handle)
        except json.JSONDecodeError as error:
            hint = "; one object per line belongs in a .jsonl file" if error.msg == "Extra data" else ""
            raise ValueError(f"line {error.lineno} is not JSON ({error.msg}){hint}") from error
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
    if not isinstance(whole, list):
        raise ValueError(f"it holds {type(whole).__name__} and no list of objects")
    yield from enumerate(whole)
