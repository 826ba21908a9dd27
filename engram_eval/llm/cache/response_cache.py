"""Answers that were paid for, kept in SQLite.

An answer is in the file before anyone sees it, so a killed process loses none. Several processes may use one file; where
two got different answers to the same request, the first one written is the one both hand out.

A file that cannot be written (full disk, read-only folder, broken file) never costs an answer: it is handed over from
memory, said once on stderr, and written later if that becomes possible.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram_eval.errors import UserError, note

FILE_NAME = "responses-2.sqlite"  # raise the number when the tables or the keys change

TABLES = """
CREATE TABLE IF NOT EXISTS responses (
    key BLOB PRIMARY KEY, text TEXT NOT NULL, finish_reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
    cached_prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, latency_s REAL NOT NULL,
    endpoint TEXT NOT NULL, model TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY, vector BLOB NOT NULL, prompt_tokens INTEGER NOT NULL, latency_s REAL NOT NULL,
    endpoint TEXT NOT NULL, model TEXT NOT NULL, created REAL NOT NULL);
"""
PUT_RESPONSE = "INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GET_RESPONSE = """SELECT text, finish_reason, prompt_tokens, cached_prompt_tokens, completion_tokens, latency_s
    FROM responses WHERE key = ?"""
PUT_VECTOR = "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?, ?, ?, ?)"
_CONTENTS = """SELECT endpoint, model, count(*) - sum(embedding), sum(embedding), sum(prompt_tokens),
        sum(cached_prompt_tokens), sum(completion_tokens), min(created), max(created) FROM (
    SELECT endpoint, model, 0 AS embedding, prompt_tokens, cached_prompt_tokens, completion_tokens, created
        FROM responses
    UNION ALL SELECT endpoint, model, 1, prompt_tokens, 0, 0, created FROM vectors) GROUP BY 1, 2 ORDER BY 1, 2"""
_LOOKUP_BATCH = 500  # under SQLite's oldest limit of 999 variables a statement
_BUSY_S = 10.0
_OPEN_ATTEMPTS = 40  # the switch to WAL does not wait for another process that is making it


@dataclass(frozen=True, slots=True)
class Response:
    """What the server gave, as it gave it: the text before any parsing."""

    text: str
    finish_reason: str
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Vector:
    """One text's embedding, with its share of the tokens and of the latency of the request that it came in."""

    values: npt.NDArray[np.float32]
    prompt_tokens: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Contents:
    """What is kept of one model at one endpoint. `oldest`, `newest`: seconds since 1970."""

    endpoint: str
    model: str
    answers: int
    embeddings: int
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    oldest: float
    newest: float


def cache_file(folder: Path) -> Path:
    """Where in the cache folder the answers are kept. Not created here."""
    return folder / "llm" / FILE_NAME


class ResponseCache:
    """One file. `read_only` neither makes nor changes it, and raises UserError if it cannot be read."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._told = False
        self._unwritten: list[tuple[str, tuple[Any, ...]]] = []
        self._responses: dict[bytes, Response] = {}  # of what is unwritten
        self._vectors: dict[bytes, Vector] = {}
        self._db: sqlite3.Connection | None = None
        try:
            self._db = open_for_reading(path) if read_only else open_for_writing(path)
        except (sqlite3.Error, OSError) as error:
            if read_only:
                raise unreadable(path, error) from None
            self._tell(error)

    def get(self, key: bytes) -> Response | None:
        if (unwritten := self._responses.get(key)) is not None:
            return unwritten
        rows = self._select(_GET_RESPONSE, (key,))
        return Response(*rows[0]) if rows else None

    def put(self, key: bytes, response: Response, *, endpoint: str, model: str) -> Response:
        """Keeps an answer; returns the one that counts: this one, or that of another process which was faster."""
        row = (key, *astuple(response), endpoint, model, time.time())
        if self._write([(PUT_RESPONSE, row)]):
            return self.get(key) or response
        self._responses[key] = response
        return response

    def get_vectors(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        found = {key: self._vectors[key] for key in keys if key in self._vectors}
        for start in range(0, len(keys), _LOOKUP_BATCH):
            batch = keys[start : start + _LOOKUP_BATCH]
            marks = ",".join("?" * len(batch))
            for key, blob, tokens, latency in self._select(
                f"SELECT key, vector, prompt_tokens, latency_s FROM vectors WHERE key IN ({marks})", tuple(batch)
            ):
                found[key] = Vector(np.frombuffer(blob, np.float32), tokens, latency)
        return found

    def put_vectors(self, vectors: dict[bytes, Vector], *, endpoint: str, model: str) -> dict[bytes, Vector]:
        """Keeps embeddings; returns those that count, as `put` does."""
        now = time.time()
        rows = [
            (key, v.values.tobytes(), v.prompt_tokens, v.latency_s, endpoint, model, now) for key, v in vectors.items()
        ]
        if self._write((PUT_VECTOR, row) for row in rows):
            return vectors | self.get_vectors(list(vectors))
        self._vectors.update(vectors)
        return vectors

    def contents(self) -> list[Contents]:
        """Sorted by endpoint and model."""
        return [Contents(*row) for row in self._select(_CONTENTS, ())]

    def close(self) -> None:
        if self._unwritten and self._db is not None:
            self._write([])  # the last chance to write what could not be written before
        if self._db is not None:
            self._db.close()
            self._db = None

    def _select(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._db is None:
            return []
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if self._read_only:
                raise unreadable(self.path, error) from None
            self._tell(error)
            return []

    def _write(self, statements: Iterable[tuple[str, tuple[Any, ...]]]) -> bool:
        """Writes these and all that could not be written before, or keeps them for the next time."""
        self._unwritten.extend(statements)
        if self._db is None:
            return False
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for statement, values in self._unwritten:
                self._db.execute(statement, values)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.rollback()
            self._tell(error)
            return False
        self._unwritten.clear()
        self._responses.clear()
        self._vectors.clear()
        return True

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            note(f"{self.path}: the response cache cannot be used ({error}); answers are used but may not be kept")


def unreadable(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path}: the response cache cannot be read ({error}); mend its permissions, or name another folder with "
        "ENGRAM_EVAL_CACHE"
    )


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Makes what is not there. Raises sqlite3.Error or OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _OPEN_ATTEMPTS + 1):
        db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a power cut the last moments
            db.executescript(TABLES)
            return db
        except sqlite3.OperationalError as error:
            db.close()
            if attempt == _OPEN_ATTEMPTS or "locked" not in str(error):
                raise
            time.sleep(0.05)
        except BaseException:
            db.close()
            raise
    raise AssertionError("unreachable")


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """None where there is no file. Raises sqlite3.Error.

    In a folder that cannot be written, WAL needs to be told that nobody else writes.
    """
    if not path.exists():
        return None
    for options in ("mode=ro", "immutable=1"):
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?{options}", uri=True, timeout=_BUSY_S, check_same_thread=False
        )
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return db
        except sqlite3.Error:
            db.close()
            if options == "immutable=1":
                raise
    raise AssertionError("unreachable")
