"""Tables as JSON-able records and as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from psymetric.data.files import FoundFrame, write_frame
from psymetric.data.messages import listing
from psymetric.errors import DataError

if TYPE_CHECKING:
    from psymetric.data.table import CodedTable

__all__ = ["fields_from_dict", "fields_from_file", "table_to_dict", "write_table"]

_VERSION = 1


def _header(table: CodedTable) -> dict[str, Any]:
    """Everything but the rows."""
    return {
        "table": type(table).__name__,
        "version": _VERSION,
        "levels": {name: list(labels) for name, labels in table.levels.items()},
        "categories": list(table.categories),
        "notes": list(table.notes),
        "columns": dict(table.columns),
        "dimension": table.dimension,
    }


def _fields_from_header(record: Mapping[str, Any], *, who: str) -> dict[str, Any]:
    """The inverse of `_header`, as arguments of a table."""
    if record.get("table") != who:
        raise DataError(f"{who}: the record holds a {record.get('table')!r}, not a {who}; read it with that class.")
    if record.get("version") != _VERSION:
        raise DataError(
            f"{who}: the record has version {record.get('version')!r}, this psymetric reads {_VERSION}; "
            "read it with the version that wrote it."
        )
    try:
        return {
            "levels": {name: tuple(labels) for name, labels in record["levels"].items()},
            "categories": tuple(record["categories"]),
            "notes": tuple(record["notes"]),
            "columns": dict(record["columns"]),
            "dimension": record["dimension"],
        }
    except KeyError as error:
        raise DataError(
            f"{who}: the record has no {error}, only {listing(record, shown=12)}; write it anew."
        ) from error


def table_to_dict(table: CodedTable) -> dict[str, Any]:
    """The table as plain lists and texts."""
    return {
        **_header(table),
        "codes": {name: code.tolist() for name, code in table.codes.items()},
        "response": table.response.tolist(),
        "weight": table.weight.tolist(),
        "missing": {str(name): column.tolist() for name, column in table.missing.items()},
    }


def fields_from_dict(record: Mapping[str, Any], *, who: str) -> dict[str, Any]:
    """The arguments of the table that `table_to_dict` wrote.

    Raises:
        DataError: The record is of another kind or version, or incomplete.
    """
    fields = _fields_from_header(record, who=who)
    try:
        return {
            **fields,
            "codes": {name: np.asarray(code, dtype=np.int32) for name, code in record["codes"].items()},
            "response": np.asarray(record["response"], dtype=np.int32),
            "weight": np.asarray(record["weight"], dtype=np.float64),
            "missing": pd.DataFrame(record["missing"]),
        }
    except KeyError as error:
        raise DataError(
            f"{who}: the record has no {error}, only {listing(record, shown=12)}; write it anew."
        ) from error


def write_table(table: CodedTable, path: Path) -> Path:
    """Write every row; in Parquet also what `fields_from_file` needs to restore the table exactly."""
    return write_frame(table.to_frame(missing=True), path, metadata=_header(table), who=type(table).__name__)


def fields_from_file(found: FoundFrame, *, who: str, level_of: Any, needed: str) -> dict[str, Any]:
    """The arguments of the table that `write_table` wrote.

    Raises:
        DataError: The file does not say what its columns mean, or its rows do not fit its levels.
    """
    if found.metadata is None:
        raise DataError(f"{who}: {found.path} does not say what its columns mean; name them with {needed}.")
    fields = _fields_from_header(found.metadata, who=who)
    frame = found.frame.to_pandas()
    observed = frame["reason"].isna().to_numpy(dtype=bool)
    names = [name for name in frame.columns if name not in ("response", "weight", "reason")]
    rows = frame[observed]
    codes = {name: pd.Index(list(fields["levels"][level_of(name)])).get_indexer(rows[name]) for name in names}
    response = pd.Index(list(fields["categories"])).get_indexer(rows["response"])
    return {
        **fields,
        "codes": {name: code.astype(np.int32) for name, code in codes.items()},
        "response": response.astype(np.int32),
        "weight": rows["weight"].to_numpy(dtype=np.float64),
        "missing": frame.loc[~observed, [*names, "reason"]].reset_index(drop=True),
    }
