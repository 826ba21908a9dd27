"""A memory's SQLite file: opened, or made anew if it is not one, and written to in transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engram_eval.errors import note


def open_file(path: Path, *, identity: str, schema: str) -> sqlite3.Connection:
    """Opens the file, or makes it with `schema`. One that is broken or of another identity is made anew, which is said: it
    holds nothing that its conversation does not hold. Raises sqlite3.Error for one that is locked, or on a full disk."""
    try:
        return _open(path, identity, schema)
    except sqlite3.DatabaseError as error:
        if not _is_unusable(error):
            raise
        note(f"{path}: {error}; made anew, and empty: sessions must be ingested again")
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _open(path, identity, schema)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written within it, or nothing. It has the lock from its first line on, so that what is read is current."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk ends it by itself
            db.execute("ROLLBACK")
        raise


def _open(path: Path, identity: str, schema: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.executescript(f"BEGIN; CREATE TABLE meta (identity TEXT); {schema} COMMIT;")
            db.execute("INSERT INTO meta VALUES (?)", (identity,))
        if db.execute("SELECT identity FROM meta").fetchall() != [(identity,)]:
            raise sqlite3.DatabaseError("file is not a store of this format")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _is_unusable(error: sqlite3.DatabaseError) -> bool:
    """Broken, or of another format; not merely locked, or on a full disk."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    return "no such table" in str(error) or "no such column" in str(error)
