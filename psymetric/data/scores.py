"""Measures of subjects, with their uncertainty and what it covers."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import pandas as pd

from psymetric.core.provenance import Provenance
from psymetric.data.files import write_frame
from psymetric.data.messages import counted, listing
from psymetric.errors import DataError

__all__ = ["Scores"]

_COLUMNS = ("subject", "estimate", "se", "lower", "upper", "n", "extreme")
_SHOWN = 20


@final
@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """Measures of subjects: one row each, or one for each `dimension` that a model of several measures.

    Attributes:
        frame: One row per subject: `subject` (its label), `estimate`, `se`, `lower`, `upper` (all in `unit`), `n` (how
            many responses it rests on), `extreme` (whether all of them were the lowest or all the highest possible).
            Further columns may follow. A missing estimate is allowed only where `notes` says why.
        method: How they were computed: `eap`, `sum_eap`, `map`, `ml`, `wle`, `plausible`.
        level: Coverage of the intervals, in (0, 1).
        unit: Unit of estimates and standard errors.
        carries: Which uncertainty the standard errors hold, and which they do not, in words.
        notes: What a reader should know, as plain sentences.
        provenance: Versions, settings, seed and the hash of the data.
    """

    frame: pd.DataFrame
    _: KW_ONLY
    method: str
    level: float
    unit: str = "logits"
    carries: str
    notes: tuple[str, ...] = ()
    provenance: Provenance

    def __post_init__(self) -> None:
        absent = [name for name in _COLUMNS if name not in self.frame.columns]
        if absent:
            raise DataError(
                f"Scores: the frame has no columns {listing(absent)}, only {listing(self.frame.columns, shown=12)}; "
                f"it needs {listing(_COLUMNS, shown=len(_COLUMNS))}."
            )
        if not 0 < self.level < 1:
            raise DataError(f"Scores: level={self.level!r} is no coverage; give one inside (0, 1), such as 0.95.")
        measured = ["subject", "dimension"] if "dimension" in self.frame.columns else ["subject"]
        if (repeated := self.frame.duplicated(measured)).any():
            twice = self.frame["subject"][repeated].unique()
            raise DataError(f"Scores: subjects {listing(twice)} occur twice; give one row per subject.")
        unknown = int(self.frame["estimate"].isna().sum())
        if unknown and not self.notes:
            raise DataError(f"Scores: {counted(unknown, 'estimate')} missing and no note says why; add one to notes.")
        object.__setattr__(self, "frame", self.frame.reset_index(drop=True))

    def __len__(self) -> int:
        return len(self.frame)

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain lists and texts, ready for strict JSON; `from_dict` is its inverse."""
        floats = [str(name) for name, column in self.frame.items() if pd.api.types.is_float_dtype(column.dtype)]
        frame = {
            str(name): [_plain_number(value) for value in column] if name in floats else column.tolist()
            for name, column in self.frame.items()
        }
        return {
            "frame": frame,
            "floats": floats,
            "method": self.method,
            "level": self.level,
            "unit": self.unit,
            "carries": self.carries,
            "notes": list(self.notes),
            "provenance": self.provenance.to_dict(),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The scores that `to_dict` wrote.

        Raises:
            DataError: The record is incomplete.
        """
        try:
            floats = set(record["floats"])
            # `float` reads the texts that stand for infinities; None stands for NaN.
            columns: dict[str, Any] = {
                name: np.array([math.nan if v is None else float(v) for v in column]) if name in floats else column
                for name, column in record["frame"].items()
            }
            return cls(
                pd.DataFrame(columns),
                method=record["method"],
                level=record["level"],
                unit=record["unit"],
                carries=record["carries"],
                notes=tuple(record["notes"]),
                provenance=Provenance.from_dict(record["provenance"]),
            )
        except KeyError as error:
            raise DataError(f"Scores: the record has no {error}, only {listing(record, shown=12)}.") from error

    def write(self, path: str | Path) -> Path:
        """Write the frame to `.parquet`, `.csv`, `.tsv` or `.jsonl` (text also with `.gz`).

        Parquet also keeps method, level, unit, notes and provenance. In CSV and TSV a label that a spreadsheet would
        run as a formula gets a leading apostrophe.

        Raises:
            DataError: An unknown suffix, or the file cannot be written.
        """
        about = {name: value for name, value in self.to_dict().items() if name not in ("frame", "floats")}
        return write_frame(self.frame, Path(path), metadata={"table": "Scores", "version": 1, **about}, who="Scores")

    def __repr__(self) -> str:
        return f"Scores({counted(len(self), 'subject')}, {self.method} in {self.unit}, {self.level:.0%} intervals)"

    def _repr_html_(self) -> str:
        title = (
            f"{counted(len(self), 'subject')}, {self.method} in {self.unit}, {self.level:.0%} intervals. {self.carries}"
        )
        table = self.frame.head(_SHOWN).to_html(index=False, escape=True, float_format=lambda value: f"{value:.3f}")
        rest = f"<p>… {len(self) - _SHOWN:,} more</p>" if len(self) > _SHOWN else ""
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return f"<p>{html.escape(title)}</p>{table}{rest}<ul>{notes}</ul>"


def _plain_number(value: float) -> float | str | None:
    """A number that strict JSON can hold: NaN becomes None, infinities a text."""
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(float(value))
