"""The store's attempts as Parquet, CSV or JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from psymetric.administration.store import ATTEMPTS, Store
from psymetric.errors import StoreError

__all__ = ["export_attempts"]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS: Final = tuple(column.name for column in ATTEMPTS.columns)
_TEXTS: Final = tuple(c.name for c in ATTEMPTS.columns if c.type.python_type is str)


def export_attempts(store: str | Path, path: str | Path) -> Path:
    """Write every attempt of a store to one file, in the order stored.

    A `.jsonl` export can be replayed (`providers.replay`). In `.csv`, cells that a spreadsheet would run as a formula
    get a leading apostrophe, because they hold text that models wrote; use the other formats to get texts unchanged.

    Args:
        store: `sqlite:///run.db`, or a path.
        path: Ends in `.parquet`, `.csv` or `.jsonl`.

    Returns:
        Where it was written.

    Raises:
        StoreError: Unknown ending, or the store or the file cannot be used.
    """
    target = Path(path)
    if target.suffix not in {".parquet", ".csv", ".jsonl"}:
        raise StoreError(f"export to {target}: give a file that ends in .parquet, .csv or .jsonl")
    with Store(store, create=False) as opened:
        frame = pd.DataFrame.from_records([dict(row) for row in opened.rows(_COLUMNS)], columns=list(_COLUMNS))
    try:
        if target.suffix == ".parquet":
            frame.to_parquet(target, index=False)
        elif target.suffix == ".jsonl":
            frame.to_json(target, orient="records", lines=True, force_ascii=False, double_precision=15)
        else:
            _spreadsheet_safe(frame).to_csv(target, index=False)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror or error}; check the folder and the disk") from error
    return target


def _spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    safe = frame.copy()
    for name in _TEXTS:
        cells = safe[name].astype("str")
        safe[name] = cells.where(~cells.str.startswith(_FORMULA).fillna(False).astype(bool), "'" + cells)
    return safe
