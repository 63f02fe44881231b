"""The store: what is kept, what is refused, and what its errors say."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from psymetric.administration.budget import Charge
from psymetric.administration.parsing import Reading
from psymetric.administration.records import failure_row, reading_of, reply_row
from psymetric.administration.store import ATTEMPTS, Store
from psymetric.data.nonresponse import NonResponse
from psymetric.errors import ProviderError, StoreError
from psymetric.providers.base import ModelEndpoint, Reply

ENDPOINT = ModelEndpoint(name="judge", model="m")
EVERY = [column.name for column in ATTEMPTS.columns]


def answer(key: str, category: int = 1, text: str = "2") -> dict[str, Any]:
    return reply_row(key, 1, ENDPOINT, "scripted", Reply(text), Reading(category), Charge(1, 11, 0.5), 1.0)


def failure(key: str) -> dict[str, Any]:
    return failure_row(key, 1, ENDPOINT, "scripted", ProviderError("boom", status=500), Charge(1), 1.0)


def test_rows_come_back_as_stored(tmp_path: Path) -> None:
    with Store(tmp_path / "run.db") as store:
        store.append([answer("a", 1, "é\ud800\x00"), failure("b")])
    with Store(f"sqlite:///{tmp_path / 'run.db'}", create=False) as store:
        first, second = store.rows(EVERY)
    assert (first["key"], first["final"], first["category"], first["text"]) == ("a", True, 1, "é?\x00")
    assert (first["attempt"], first["endpoint"], first["model"], first["parser"]) == (1, "judge", "m", "strict/1")
    assert (second["final"], second["reason"], second["status"]) == (False, "transport", 500)
    assert second["detail"] == "ProviderError: boom"


def test_readings_survive() -> None:
    reading = Reading(distribution=(0.25, 0.75), mass=0.9)
    assert reading_of(reply_row("k", 1, ENDPOINT, "p", Reply("x"), reading, Charge(), 0)) == reading
    refused = Reading(reason=NonResponse.refusal, detail="d")
    assert reading_of(reply_row("k", 1, ENDPOINT, "p", Reply("x"), refused, Charge(), 0)) == refused


@pytest.mark.parametrize("reason", list(NonResponse))
def test_errors_and_empties_are_never_final(reason: NonResponse) -> None:
    row = reply_row("k", 1, ENDPOINT, "p", Reply(""), Reading(reason=reason), Charge(), 0)
    assert row["final"] is (reason not in {NonResponse.empty, NonResponse.no_logprobs, NonResponse.transport})


def test_second_answer_to_a_request_never_counts(tmp_path: Path) -> None:
    with Store(tmp_path / "run.db") as store:
        store.append([failure("a"), answer("a", 1)])
        store.append([answer("a", 2), answer("b", 3)])
        assert [(row["key"], row["category"]) for row in store.rows(["key", "category"])] == [
            ("a", None),
            ("a", 1),
            ("b", 3),
        ]


def test_standing_sums_all_attempts(tmp_path: Path) -> None:
    with Store(tmp_path / "run.db") as store:
        store.append([failure("a"), failure("a"), answer("a"), failure("b")])
        standing = store.standing()
    assert (standing["a"].final, standing["a"].attempts, standing["a"].charge) == (True, 3, Charge(3, 11, 0.5))
    assert standing["b"].final is False


def test_last_event_of_a_plan(tmp_path: Path) -> None:
    with Store(tmp_path / "run.db") as store:
        store.log("p", "began", {})
        store.log("p", "ended", {"stopped": "budget"})
        store.log("q", "began", {})
        assert store.last_event("p") == ("ended", {"stopped": "budget"})
        assert store.last_event("r") is None


def test_wal_and_full_synchronisation(tmp_path: Path) -> None:
    with Store(tmp_path / "run.db") as store, store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("sqlite:///", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
        ("postgresql+psycopg://u:secret@h/db", "only sqlite"),
        ("mysql://h/db", "only sqlite"),
        ("://", "is not a URL"),
        ("sqlite:////nowhere/at/all/run.db", "there is no folder /nowhere/at/all"),
        ("/", "is a folder"),
    ],
)
def test_unusable_urls_are_refused(url: str, match: str) -> None:
    with pytest.raises(StoreError, match=match) as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_missing_store_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store(tmp_path / "run.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    path.write_text("subject,score\n" * 100)
    with pytest.raises(StoreError, match=r"run\.db: file is not a database; the file is something else or damaged"):
        Store(path)
    assert path.read_text().startswith("subject,score")


def test_database_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table attempts (x)")
    connection.close()
    with pytest.raises(StoreError, match="something else"), Store(path) as store:
        store.standing()


def test_read_only_store_says_so(tmp_path: Path) -> None:
    Store(tmp_path / "run.db").close()
    with sqlite3.connect(tmp_path / "run.db") as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    with pytest.raises(StoreError, match="it is read-only: make the file and its folder writable"):
        Store(f"sqlite:///file:{tmp_path / 'run.db'}?mode=ro&uri=true")


def test_locked_store_says_so_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with Store(f"sqlite:///{path}?timeout=0.05") as store:
        store.append([answer("a")])
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked; another program holds it"):
            store.append([answer("b")])
        other.rollback()
        other.close()
        assert [row["key"] for row in store.rows(["key"])] == ["a"]


def test_full_disk_says_so_and_keeps_what_is_stored(tmp_path: Path) -> None:
    with Store(tmp_path / "run.db") as store:
        store.append([answer("a")])
        pages = 0
        with store._engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        store._engine.dispose()
        # SQLite reports a reached page limit exactly as it reports a full disk.
        event.listen(store._engine, "connect", lambda c, _: c.execute(f"PRAGMA max_page_count={pages}") and None)
        with pytest.raises(StoreError, match="full; free some space"):
            store.append([answer(f"b{i}", text="x" * 2_000) for i in range(50)])
        assert [row["key"] for row in store.rows(["key"])] == ["a"]


CLAIM = """
import sys, time
from psymetric.administration.store import Store
Store(sys.argv[1]).claim()
print("claimed", flush=True)
time.sleep(60)
"""


def test_store_has_one_asker_at_a_time_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with subprocess.Popen([sys.executable, "-c", CLAIM, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"claimed"
        with Store(path) as store, pytest.raises(StoreError, match=r"store .*run\.db: another run is"):
            store.claim()
        other.kill()
        other.wait()
        with Store(path) as store:
            store.claim()
    assert not os.path.exists(f"{path}.lock")
