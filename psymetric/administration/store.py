"""The response store: an append-only table of attempts, through SQLAlchemy Core.

Every request that was answered or failed is one row that is never changed. A row with `final` set is an answer (or a
typed non-response of the model's own) and its request is never asked again; errors and empty replies are not final.
SQLite runs in WAL mode with full synchronisation, so a committed answer survives `kill -9` and a power cut.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from psymetric.administration._lock import FileLock
from psymetric.administration.budget import Charge
from psymetric.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from sqlalchemy.engine import RowMapping

__all__ = ["ATTEMPTS", "Standing", "Store", "store_url"]

_BUSY_S: Final = 30.0
_CHUNK: Final = 10_000
_METADATA: Final = sa.MetaData()

ATTEMPTS: Final = sa.Table(
    "attempts",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("final", sa.Boolean, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("model", sa.Text),
    sa.Column("echoed_model", sa.Text),
    sa.Column("request", sa.Text),
    sa.Column("text", sa.Text),
    sa.Column("finish_reason", sa.Text),
    sa.Column("refusal", sa.Text),
    sa.Column("logprobs", sa.Text),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("latency_s", sa.Float),
    sa.Column("asked_at", sa.Float, nullable=False),
    sa.Column("stored_at", sa.Float, nullable=False),
    sa.Column("parser", sa.Text),
    sa.Column("category", sa.Integer),
    sa.Column("distribution", sa.Text),
    sa.Column("mass", sa.Float),
    sa.Column("reason", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("status", sa.Integer),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("tokens", sa.Float, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
    # Whatever happens, two answers to one request can never both count.
    sa.Index("one_final_answer", "key", unique=True, sqlite_where=sa.text("final"), postgresql_where=sa.text("final")),
    sa.Index("attempts_by_key", "key"),
)
_RUNS: Final = sa.Table(
    "runs",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("plan", sa.String(64), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one request stands: answered or not, attempts so far, and what they count for."""

    final: bool
    attempts: int
    charge: Charge


def store_url(store: str | Path) -> str:
    """A store's URL; a bare path is an SQLite file."""
    return store if isinstance(store, str) and "://" in store else f"sqlite:///{store}"


class Store:
    """Attempts on disk.

    Args:
        store: `sqlite:///run.db`, or a path. A relative path starts at the working directory.
        create: Whether to make a new file where there is none.

    Raises:
        StoreError: The store cannot be opened, or is not one of ours.
    """

    def __init__(self, store: str | Path, *, create: bool = True) -> None:
        self.url = store_url(store)
        try:
            parsed = sa.make_url(self.url)
        except ArgumentError as error:
            raise StoreError(f"store {self.url!r} is not a URL such as sqlite:///run.db") from error
        if parsed.get_backend_name() != "sqlite":
            raise StoreError(f"store {parsed.render_as_string()}: only sqlite:/// is supported in this version")
        self.path = parsed.database or ""
        if self.path in {"", ":memory:"}:
            raise StoreError("store: an in-memory database would lose every answer; give a file, sqlite:///run.db")
        plain_file = not self.path.startswith("file:")
        if plain_file:
            self._check_path(Path(self.path), create)
        self._lock = FileLock(Path(f"{self.path}.lock")) if plain_file else None
        self._engine = sa.create_engine(parsed, connect_args={} if "timeout" in parsed.query else {"timeout": _BUSY_S})
        if create:
            event.listen(self._engine, "connect", _pragmas)
            with self._explained("open"), self._engine.begin() as connection:
                _METADATA.create_all(connection)

    @staticmethod
    def _check_path(path: Path, create: bool) -> None:
        if path.is_dir():
            raise StoreError(f"store {path} is a folder; give a file in it, such as {path / 'run.db'}")
        if not path.exists() and not create:
            raise StoreError(f"store {path} does not exist; ask first, or give the path of an earlier run")
        if not path.parent.is_dir():
            raise StoreError(f"store {path}: there is no folder {path.parent}; create it first")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def claim(self) -> None:
        """Make this process the only one that asks for this store, until `close`.

        Raises:
            StoreError: Another process is asking.
        """
        if self._lock is not None:
            self._lock.acquire()

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows in one transaction; when this returns they are durable.

        Raises:
            StoreError: They could not be written; none of them is.
        """
        insert = sqlite.insert(ATTEMPTS).on_conflict_do_nothing(index_elements=["key"], index_where=sa.text("final"))
        with self._explained("write to"), self._engine.begin() as connection:
            connection.execute(insert, [dict(row) for row in rows])

    def log(self, plan: str, event: str, detail: Mapping[str, Any]) -> None:
        """Note that a run of a plan began or ended."""
        row = {"plan": plan, "at": time.time(), "event": event, "detail": json.dumps(detail, default=str)}
        with self._explained("write to"), self._engine.begin() as connection:
            connection.execute(sa.insert(_RUNS), row)

    def last_event(self, plan: str) -> tuple[str, dict[str, Any]] | None:
        """The latest event of a plan and its detail, or None."""
        query = (
            sa.select(_RUNS.c.event, _RUNS.c.detail).where(_RUNS.c.plan == plan).order_by(_RUNS.c.id.desc()).limit(1)
        )
        with self._explained("read"), self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.event, json.loads(row.detail))

    def standing(self) -> dict[str, Standing]:
        """Per request key: whether it has a final row, and what all its attempts count for."""
        sums = (sa.func.sum(ATTEMPTS.c[name]).label(name) for name in ("calls", "tokens", "cost"))
        has_final = sa.func.max(sa.cast(ATTEMPTS.c.final, sa.Integer)).label("final")
        query = sa.select(ATTEMPTS.c.key, has_final, sa.func.count().label("attempts"), *sums).group_by(ATTEMPTS.c.key)
        with self._explained("read"), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        charges = (Charge(int(row.calls), row.tokens, row.cost) for row in rows)
        return {row.key: Standing(bool(row.final), row.attempts, c) for row, c in zip(rows, charges, strict=True)}

    def rows(self, columns: Iterable[str]) -> Generator[RowMapping]:
        """All attempts in the order stored.

        Args:
            columns: Names of the columns wanted.
        """
        query = sa.select(*(ATTEMPTS.c[name] for name in columns)).order_by(ATTEMPTS.c.id)
        with self._explained("read"), self._engine.connect() as connection:
            for part in connection.execution_options(yield_per=_CHUNK).execute(query).mappings().partitions():
                yield from part

    @contextmanager
    def _explained(self, action: str) -> Generator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise StoreError(f"cannot {action} store {self.path}: {cause}; {_advice(cause)}") from error


def _advice(cause: str) -> str:
    said = cause.lower()
    if "readonly" in said or "read-only" in said:
        return "it is read-only: make the file and its folder writable, or give another store"
    if "full" in said:
        return "free some space on the disk, then run the same command: all that is stored is kept"
    if "locked" in said or "busy" in said:
        return "another program holds it: close that, then run the same command"
    if "not a database" in said or "malformed" in said or "no such" in said or "no column" in said:
        return "the file is something else or damaged: give another store"
    if "unable to open" in said:
        return "check that the folder exists and is writable"
    return "all that is stored is kept; mend this and run the same command"


def _pragmas(connection: Any, record: object) -> None:  # noqa: ARG001
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
    finally:
        cursor.close()
