"""The contexts of a run, as they were sent: what a person who asks why an answer is wrong must see.

One SQLite file beside the records, each text once (a whole history is the context of every question about it).
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from pathlib import Path
from typing import Self

from engram_eval.errors import UserError

TURN_MARK = "\x1e"  # between turns whose words are kept together


class Contexts:
    """To be used in a `with`. Raises UserError where the file cannot be written; reading without a file finds nothing."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._known: set[str] = set()
        self._db: sqlite3.Connection | None = None
        if read_only and not path.exists():
            return
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
            if not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing
                self._db.execute("CREATE TABLE IF NOT EXISTS contexts (key TEXT PRIMARY KEY, text BLOB NOT NULL)")
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def put(self, text: str) -> str:
        """Keeps a text; returns the key by which it is found."""
        encoded = text.encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(encoded, digest_size=8).hexdigest()
        if key not in self._known and self._db is not None:
            try:
                self._db.execute("INSERT OR IGNORE INTO contexts VALUES (?, ?)", (key, zlib.compress(encoded, 1)))
            except sqlite3.Error as error:
                raise self._fault(error) from None
            self._known.add(key)
        return key

    def get(self, key: str | None) -> str | None:
        if key is None or self._db is None:
            return None
        try:
            row = self._db.execute("SELECT text FROM contexts WHERE key = ?", (key,)).fetchone()
            return zlib.decompress(row[0]).decode("utf-8", "surrogatepass") if row else None
        except (sqlite3.Error, zlib.error) as error:
            raise UserError(
                f"{self._path}: cannot be read ({error}); the contexts are lost, the records are not"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _fault(self, error: sqlite3.Error) -> UserError:
        return UserError(f"{self._path}: cannot be written ({error}); free some space, then resume the run")
