"""What every table of coded rows has: checks, provenance hash, selection, frames and JSON."""

from __future__ import annotations

import hashlib
import html
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data import storage
from psymetric.data.checks import check_table, freeze
from psymetric.data.coding import Label, drop_unused, label_array
from psymetric.data.messages import counted, listing, nearest
from psymetric.errors import DataError

__all__ = ["CodedTable"]


@dataclass(frozen=True, eq=False, repr=False)
class CodedTable(ABC):
    """Observed rows as integer codes, with the labels behind them.

    `ResponseTable`, `PairTable` and `RankingTable` are its kinds.

    A subclass says which codes it needs (`required`), which levels a code indexes (`level_of`), and what it has to note
    about its rows (`_observations`). Arrays are read-only, because the hash stands for them.

    Attributes:
        codes: Facet -> level code of each observed row, shape (rows,).
        levels: Facet -> labels in natural order; a code is a position in them. Only levels with a response occur.
        response: Category code of each row, 0…K−1, shape (rows,).
        categories: The K category labels, low to high.
        weight: How often each row counts, shape (rows,); 0 or more.
        missing: One row per non-response: facet labels and `reason`, a `NonResponse` value.
        notes: What a reader should know, as plain sentences.
        columns: Canonical name -> the user's column name.
        dimension: Name of the facet that says what a row measures, which no model uses; None without one.
    """

    codes: Mapping[str, NDArray[np.int32]]
    levels: Mapping[str, tuple[Label, ...]]
    response: NDArray[np.int32]
    categories: tuple[Label, ...]
    weight: NDArray[np.float64]
    missing: pd.DataFrame
    notes: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    dimension: str | None = None

    required: ClassVar[tuple[str, ...]]
    """Codes that every table of this kind has."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", {name: freeze(code, np.int32) for name, code in self.codes.items()})
        object.__setattr__(self, "response", freeze(self.response, np.int32))
        object.__setattr__(self, "weight", freeze(self.weight, np.float64))
        check_table(self)

    @staticmethod
    @abstractmethod
    def level_of(code: str) -> str:
        """Name of the levels that a code indexes."""

    @abstractmethod
    def _observations(self) -> Iterator[str]:
        """Notes that follow from the rows alone."""

    @property
    def n_rows(self) -> int:
        """Number of observed rows."""
        return int(self.response.size)

    @property
    def n_categories(self) -> int:
        """Number of categories, used or not."""
        return len(self.categories)

    @property
    def facets(self) -> tuple[str, ...]:
        """Names of everything a row is about and a model may use: the keys of `levels` without the dimension."""
        return tuple(name for name in self.levels if name != self.dimension)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content as hex digits: labels, rows in their order, weights, non-responses.

        Does not depend on notes, on the user's column names or on the order of the source's columns.
        """
        digest = hashlib.sha256(f"psymetric:{type(self).__name__}:1".encode())
        digest.update(json.dumps([self.levels, self.categories, self.dimension], sort_keys=True).encode())
        for name in sorted(self.codes):
            digest.update(name.encode() + b"\0")
            digest.update(self.codes[name].astype("<i4", copy=False).data)
        digest.update(self.response.astype("<i4", copy=False).data)
        digest.update(self.weight.astype("<f8", copy=False).data)
        for name in sorted(self.missing.columns):
            codes, found = pd.factorize(self.missing[name])
            digest.update(json.dumps([name, found.tolist()]).encode() + codes.astype("<i4").tobytes())
        return digest.hexdigest()

    def _checked_facet(self, facet: str) -> str:
        """The name, when the table has such levels."""
        if facet not in self.levels:
            raise DataError(f"{type(self).__name__}: no facet {facet!r}; {nearest(facet, self.levels)}")
        return facet

    def select(self, facet: str, levels: Sequence[Label]) -> Self:
        """The rows whose `facet` is one of `levels`, as a table; levels left without a row are dropped.

        Categories stay as they are, so that results remain comparable. Where several codes index one facet (left and
        right of a pair), all must be among `levels`.

        Raises:
            DataError: An unknown facet or level, or no row left.
        """
        self._checked_facet(facet)
        wanted = [levels] if isinstance(levels, str) else list(levels)
        known = [*self.levels[facet], *self._labels_in_missing(facet)]
        for label in wanted:
            if label not in known:
                raise DataError(f"{type(self).__name__}: no level {label!r} in {facet!r}; {nearest(label, known)}")
        owners = [code for code in self.codes if self.level_of(code) == facet]
        chosen = np.array([label in set(wanted) for label in self.levels[facet]])
        rows = np.logical_and.reduce([chosen[self.codes[code]] for code in owners])
        lost = np.logical_and.reduce([self.missing[code].isin(wanted).to_numpy(dtype=bool) for code in owners])
        return self._take(np.flatnonzero(rows), np.flatnonzero(lost), f"{facet} among {listing(wanted)}")

    def split(self, facet: str) -> dict[Label, Self]:
        """One table per level of `facet` (or of the dimension), in the order of the levels.

        The facet stays in each part, with one level. A level without any response has no part.

        Raises:
            DataError: An unknown facet, or one that two codes index (the items of a pair).
        """
        self._checked_facet(facet)
        if facet not in self.codes:
            raise DataError(
                f"{type(self).__name__}: a row has two of {facet!r} and cannot be split by it; use select()."
            )
        codes = self.codes[facet]
        order = np.argsort(codes, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(codes, minlength=len(self.levels[facet])))[:-1])
        lost = self.missing.groupby(facet, sort=False).indices if len(self.missing) else {}
        none = np.empty(0, dtype=np.intp)
        return {
            label: self._take(rows, np.sort(lost.get(label, none)), f"{facet} {label!r}")
            for label, rows in zip(self.levels[facet], parts, strict=True)
        }

    def _labels_in_missing(self, facet: str) -> list[Label]:
        """Labels of a facet that occur in rows without a response, each once."""
        owners = [code for code in self.codes if self.level_of(code) == facet]
        return list(dict.fromkeys(label for code in owners for label in self.missing[code].tolist()))

    def _take(self, rows: NDArray[np.intp], lost: NDArray[np.intp], which: str) -> Self:
        """The table of some observed rows and some non-responses, without the levels that these rows do not use."""
        if not rows.size:
            raise DataError(f"{type(self).__name__}: no row with a response has {which}; select other levels.")
        kept = {name: code[rows] for name, code in self.codes.items()}
        codes, levels = drop_unused(kept, self.levels, self.level_of)
        part = type(self)(
            codes=codes,
            levels=levels,
            response=self.response[rows],
            categories=self.categories,
            weight=self.weight[rows],
            missing=self.missing.iloc[lost].reset_index(drop=True),
            columns=self.columns,
            dimension=self.dimension,
        )
        return part.noted(f"The rows with {which}: {rows.size:,} of {counted(self.n_rows, 'row')} with a response.")

    def noted(self, *first: str) -> Self:
        """The same table whose notes are `first` and then what follows from its rows."""
        notes = (*first, *self._observations())
        # A copy and not a new table: what has been checked and counted holds for the same rows.
        found = copy(self)
        object.__setattr__(found, "notes", notes)
        return found

    def to_frame(self, *, original_names: bool = False, missing: bool = False) -> pd.DataFrame:
        """The rows with their labels: one column per code, `response` (category label) and `weight`.

        Args:
            original_names: Name the columns as the source did.
            missing: Append the rows without a response and a column `reason`; their response and weight are missing.

        Raises:
            DataError: A name of the source equals one that is added, `weight` or `reason`.
        """
        frame = self._observed_frame()
        if missing:
            lost = self.missing.reindex(columns=[*self.codes, "reason"])
            whole = pd.api.types.is_integer_dtype(frame["response"].dtype)
            frame = frame.astype({"response": "Int64"}) if whole else frame
            frame = pd.concat([frame, lost], ignore_index=True) if len(lost) else frame.assign(reason=None)
            frame = frame.astype({"reason": "str"})
        return self._with_original_names(frame) if original_names else frame

    def _with_original_names(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame under the names of the source, which may be one of ours for something the source lacks."""
        named = frame.rename(columns=dict(self.columns))
        if not named.columns.is_unique:
            twice = listing(named.columns[named.columns.duplicated()])
            raise DataError(
                f"{type(self).__name__}: the source's own column {twice} collides with one that to_frame adds; "
                "use original_names=False."
            )
        return named

    def _observed_frame(self) -> pd.DataFrame:
        """Labels, response and weight of the observed rows."""
        labels: dict[str, Any] = {
            name: label_array(self.levels[self.level_of(name)], code) for name, code in self.codes.items()
        }
        response = label_array(self.categories, self.response)
        return pd.DataFrame({**labels, "response": response, "weight": np.array(self.weight)})

    def to_dict(self) -> dict[str, Any]:
        """The table as plain lists and texts, ready for JSON; `from_dict` is its inverse."""
        return storage.table_to_dict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The table that `to_dict` wrote.

        Raises:
            DataError: The record is of another kind, incomplete, or holds codes that its levels do not.
        """
        return cls(**storage.fields_from_dict(record, who=cls.__name__))

    def write(self, path: str | Path) -> Path:
        """Write every row, observed or not, to `.parquet`, `.csv`, `.tsv` or `.jsonl` (text also with `.gz`).

        Parquet keeps everything, and `read(path)` needs no column map then. The text formats keep labels, responses,
        weights and reasons under canonical names. In CSV and TSV a text that a spreadsheet would run as a formula gets
        a leading apostrophe, which `read` takes off.

        Raises:
            DataError: An unknown suffix, or the file cannot be written.
        """
        return storage.write_table(self, Path(path))

    def __repr__(self) -> str:
        sizes = " × ".join(f"{facet} {len(labels):,}" for facet, labels in self.levels.items())
        lost = f", {len(self.missing):,} without response" if len(self.missing) else ""
        return f"{type(self).__name__}({counted(self.n_rows, 'row')}; {sizes}; {self.n_categories} categories{lost})"

    def _repr_html_(self) -> str:
        facts = {facet: f"{len(labels):,}: {listing(labels)}" for facet, labels in self.levels.items()}
        facts |= {"categories": listing(self.categories, shown=12), "without response": f"{len(self.missing):,}"}
        rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        title = f"{type(self).__name__}, {counted(self.n_rows, 'row')}"
        return f"<b>{html.escape(title)}</b><table>{rows}</table><ul>{notes}</ul>"
