"""SQLite files: open them, write to them in transactions, and distinguish a damaged file from a busy one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from engram_eval.errors import note

_BUSY_S = 10.0  # how long a statement waits for another process
_OPEN_ATTEMPTS = 40  # the switch to WAL does not wait for another process that makes it
_RETRY_S = 0.05
_VARIABLES = 500  # SQLite's oldest limit is 999 variables a statement


def open_database(
    path: Path, *, schema: str = "", synchronous: Literal["OFF", "NORMAL"] = "NORMAL", any_thread: bool = False
) -> sqlite3.Connection:
    """Opens the file for writing in WAL mode, or makes it, and runs `schema` (CREATE TABLE IF NOT EXISTS …).

    After a killed process nothing is lost. After a power cut, NORMAL loses the last moments at most, and OFF may lose
    the file. `any_thread`: the connection may be used by other threads, one at a time. The connection commits every
    statement by itself, unless it is in a `transaction`. Raises sqlite3.Error.
    """
    for attempt in range(1, _OPEN_ATTEMPTS + 1):
        db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S, check_same_thread=not any_thread)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {synchronous}")
            db.executescript(schema)
            return db
        except sqlite3.OperationalError as error:
            db.close()
            if attempt == _OPEN_ATTEMPTS or "locked" not in str(error):
                raise
            time.sleep(_RETRY_S)
        except BaseException:
            db.close()
            raise
    raise AssertionError("unreachable")


def open_read_only(path: Path, *, any_thread: bool = False) -> sqlite3.Connection | None:
    """Opens the file without changing it; None where there is no file. Raises sqlite3.Error."""
    if not path.exists():
        return None
    # In a folder that cannot be written to, WAL needs to know that nobody else writes (immutable).
    for options in ("mode=ro", "immutable=1"):
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?{options}", uri=True, timeout=_BUSY_S, check_same_thread=not any_thread
        )
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return db
        except sqlite3.Error:
            db.close()
            if options == "immutable=1":
                raise
    raise AssertionError("unreachable")


def open_or_recreate(path: Path, *, identity: str, schema: str) -> sqlite3.Connection:
    """Opens a file that can be made again from other data. A damaged file, or one of another `identity`, is replaced by an
    empty one, and a note is printed. Raises sqlite3.Error for a file that is locked, or on a full disk."""
    try:
        return _open_identified(path, identity, schema)
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
        note(f"{path}: {error}; replaced by an empty file: sessions must be ingested again")
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _open_identified(path, identity, schema)


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether the file is broken or of another format, and not merely locked or on a full disk."""
    if not isinstance(error, sqlite3.OperationalError):
        return isinstance(error, sqlite3.DatabaseError)
    return "no such table" in str(error) or "no such column" in str(error)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Writes everything within it, or nothing. It holds the lock from its first line on, so what it reads is current."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk ends it by itself
            db.execute("ROLLBACK")
        raise


def select_by_keys(db: sqlite3.Connection, query: str, keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query with `… WHERE key IN ({})`, for any number of keys: they are looked up some at a time."""
    for start in range(0, len(keys), _VARIABLES):
        batch = keys[start : start + _VARIABLES]
        yield from db.execute(query.format(",".join("?" * len(batch))), batch)


def _open_identified(path: Path, identity: str, schema: str) -> sqlite3.Connection:
    db = open_database(path)
    try:
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.executescript(f"BEGIN; CREATE TABLE meta (identity TEXT); {schema} COMMIT;")
            db.execute("INSERT INTO meta VALUES (?)", (identity,))
        if db.execute("SELECT identity FROM meta").fetchall() != [(identity,)]:
            raise sqlite3.DatabaseError("file is not a store of this format")
    except sqlite3.Error:
        db.close()
        raise
    return db
