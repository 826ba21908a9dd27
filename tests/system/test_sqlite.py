"""SQLite files: opened by several processes, damaged, read-only."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engram_eval.system.sqlite import (
    is_damaged,
    open_database,
    open_or_recreate,
    open_read_only,
    select_by_keys,
    transaction,
)

_SCHEMA = "CREATE TABLE IF NOT EXISTS t (key INTEGER PRIMARY KEY);"


def _keys(db: sqlite3.Connection) -> list[int]:
    return [key for (key,) in db.execute("SELECT key FROM t ORDER BY key")]


def test_a_transaction_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    db = open_database(tmp_path / "f", schema=_SCHEMA)
    with transaction(db):
        db.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(ZeroDivisionError), transaction(db):
        db.execute("INSERT INTO t VALUES (2)")
        raise ZeroDivisionError
    other = open_database(tmp_path / "f", schema=_SCHEMA)
    assert _keys(other) == [1]
    db.close()
    other.close()


def test_a_file_is_read_without_being_changed(tmp_path: Path) -> None:
    assert open_read_only(tmp_path / "absent") is None
    assert list(tmp_path.iterdir()) == []
    open_database(tmp_path / "f", schema=_SCHEMA).close()
    db = open_read_only(tmp_path / "f")
    assert db is not None
    assert _keys(db) == []
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("INSERT INTO t VALUES (1)")
    db.close()
    (tmp_path / "f").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        open_read_only(tmp_path / "f")
    assert is_damaged(caught.value)


@pytest.mark.parametrize("content", [b"no database" * 100, None])
def test_a_damaged_file_and_one_of_another_identity_are_made_again(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f"
    if content is not None:
        path.write_bytes(content)
    else:
        open_or_recreate(path, identity="other", schema=_SCHEMA).close()
    db = open_or_recreate(path, identity="this", schema=_SCHEMA)
    db.execute("INSERT INTO t VALUES (1)")
    db.close()
    assert "replaced by an empty file" in capsys.readouterr().err
    db = open_or_recreate(path, identity="this", schema=_SCHEMA)
    assert _keys(db) == [1]
    assert capsys.readouterr().err == ""
    db.close()


def test_a_locked_file_and_a_full_disk_are_not_damage() -> None:
    assert not is_damaged(sqlite3.OperationalError("database is locked"))
    assert not is_damaged(sqlite3.OperationalError("database or disk is full"))
    assert is_damaged(sqlite3.OperationalError("no such table: t"))
    assert is_damaged(sqlite3.DatabaseError("file is not a database"))


def test_any_number_of_keys_can_be_looked_up(tmp_path: Path) -> None:
    db = open_database(tmp_path / "f", schema=_SCHEMA)
    with transaction(db):
        db.executemany("INSERT INTO t VALUES (?)", [(key,) for key in range(1200)])
    rows = select_by_keys(db, "SELECT key FROM t WHERE key IN ({})", range(-5, 1100))
    assert sorted(key for (key,) in rows) == list(range(1100))
    db.close()
