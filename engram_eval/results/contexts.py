"""The contexts of a run as they were sent, so that people can find out why an answer is wrong.

One SQLite file beside the records, with each text once: a whole history is the context of every question about it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from pathlib import Path
from typing import Self

from engram_eval.system.files import file_error
from engram_eval.system.sqlite import open_database, open_read_only

TURN_MARK = "\x1e"
"""Separates turns whose texts are kept as one."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS contexts (key TEXT PRIMARY KEY, text BLOB NOT NULL)"
_WRITE_FIX = "free some space, then resume the run"
_READ_FIX = "the contexts are lost, the records are not"


class Contexts:
    """To be used in a `with`. Raises UserError if the file cannot be read or written; without a file, `get` returns None."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._known: set[str] = set()
        try:
            # A killed process loses nothing, and after a power cut the records are still there.
            self._db = open_read_only(path) if read_only else open_database(path, schema=_SCHEMA, synchronous="OFF")
        except sqlite3.Error as error:
            if read_only:
                raise file_error(path, error, fix=_READ_FIX) from None
            raise file_error(path, error, fix=_WRITE_FIX, action="written") from None

    def put(self, text: str) -> str:
        """Keeps a text; returns its key."""
        encoded = text.encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(encoded, digest_size=8).hexdigest()
        if key not in self._known and self._db is not None:
            try:
                self._db.execute("INSERT OR IGNORE INTO contexts VALUES (?, ?)", (key, zlib.compress(encoded, 1)))
            except sqlite3.Error as error:
                raise file_error(self._path, error, fix=_WRITE_FIX, action="written") from None
            self._known.add(key)
        return key

    def get(self, key: str | None) -> str | None:
        if key is None or self._db is None:
            return None
        try:
            row = self._db.execute("SELECT text FROM contexts WHERE key = ?", (key,)).fetchone()
            return zlib.decompress(row[0]).decode("utf-8", "surrogatepass") if row else None
        except (sqlite3.Error, zlib.error) as error:
            raise file_error(self._path, error, fix=_READ_FIX) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
