"""A plan as one Parquet file: the rows, and in its metadata the study, the instrument and the texts."""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from psymetric.errors import StoreError, StudyError

__all__ = ["read_plan_file", "write_plan_file"]

_FIELD: Final = b"psymetric.plan"
_VERSION: Final = 1
_LIMIT: Final = 2**31 - 1


def write_plan_file(path: str | Path, frame: pd.DataFrame, record: dict[str, Any]) -> Path:
    """Write rows and record; a file that exists is replaced only once the new one is complete.

    Raises:
        StoreError: The file cannot be written.
    """
    path = Path(path)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    packed = zlib.compress(json.dumps({"version": _VERSION, **record}).encode())
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _FIELD: packed})
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, partial, compression="zstd")
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"plan: {path} cannot be written ({error.strerror or error})") from error
    finally:
        # The folder may be what is wrong; the error above says so.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


def read_plan_file(path: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and the record.

    Raises:
        StudyError: No such file, or not a plan of this version.
    """
    path = Path(path)
    try:
        # Texts lie in the metadata, which Arrow caps at 100 MB unless told otherwise.
        table = pq.read_table(path, thrift_string_size_limit=_LIMIT, thrift_container_size_limit=_LIMIT)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise StudyError(f"{path}: not a plan: {' '.join(str(error).split())[:200]}") from error
    packed = (table.schema.metadata or {}).get(_FIELD)
    if packed is None:
        raise StudyError(f"{path}: a Parquet file, but not a plan; make one with `psymetric plan`")
    try:
        record = json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError) as error:
        raise StudyError(f"{path}: the plan's study is damaged; plan again") from error
    if record.get("version") != _VERSION:
        raise StudyError(f"{path}: plan version {record.get('version')!r}, this psymetric reads {_VERSION}; plan again")
    return table.to_pandas(), record
