"""Paid-for answers, kept in SQLite.

An answer is written to the file before a caller gets it, so a killed process loses none. Several processes may use one
file: if two of them got different answers to the same request, both return the one that was written first.

No answer is lost if the file cannot be written (full disk, read-only folder, broken file): it is returned from memory, a
warning is printed once, and the answer is written later if that becomes possible.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram_eval.errors import UserError, note
from engram_eval.system.files import file_error
from engram_eval.system.sqlite import open_database, open_read_only, select_by_keys, transaction

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
_GET_VECTORS = "SELECT key, vector, prompt_tokens, latency_s FROM vectors WHERE key IN ({})"
_CONTENTS = """SELECT endpoint, model, count(*) - sum(embedding), sum(embedding), sum(prompt_tokens),
        sum(cached_prompt_tokens), sum(completion_tokens), min(created), max(created) FROM (
    SELECT endpoint, model, 0 AS embedding, prompt_tokens, cached_prompt_tokens, completion_tokens, created
        FROM responses
    UNION ALL SELECT endpoint, model, 1, prompt_tokens, 0, 0, created FROM vectors) GROUP BY 1, 2 ORDER BY 1, 2"""


@dataclass(frozen=True, slots=True)
class Response:
    """The server's reply before any parsing."""

    text: str
    finish_reason: str
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Vector:
    """The embedding of one text, with its share of the tokens and of the latency of its request."""

    values: npt.NDArray[np.float32]
    prompt_tokens: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Contents:
    """What the cache holds of one model at one endpoint. `oldest`, `newest`: seconds since 1970."""

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
    """The path of the response cache in the cache folder. Creates nothing."""
    return folder / "llm" / FILE_NAME


class ResponseCache:
    """One file. With `read_only`, it is neither made nor changed, and a file that cannot be read raises UserError."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._warned = False
        self._unwritten: list[tuple[str, tuple[Any, ...]]] = []
        self._responses: dict[bytes, Response] = {}  # of what is unwritten
        self._vectors: dict[bytes, Vector] = {}
        self._db: sqlite3.Connection | None = None
        try:
            self._db = open_read_only(path, any_thread=True) if read_only else open_for_writing(path)
        except (sqlite3.Error, OSError) as error:
            if read_only:
                raise unreadable(path, error) from None
            self._warn_once(error)

    def get(self, key: bytes) -> Response | None:
        if (unwritten := self._responses.get(key)) is not None:
            return unwritten
        rows = self._rows(lambda db: db.execute(_GET_RESPONSE, (key,)))
        return Response(*rows[0]) if rows else None

    def put(self, key: bytes, response: Response, *, endpoint: str, model: str) -> Response:
        """Keeps an answer. Returns the one to use: this one, or that of another process which was faster."""
        row = (key, *astuple(response), endpoint, model, time.time())
        if self._write([(PUT_RESPONSE, row)]):
            return self.get(key) or response
        self._responses[key] = response
        return response

    def get_vectors(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        vectors = {key: self._vectors[key] for key in keys if key in self._vectors}
        for key, blob, tokens, latency in self._rows(lambda db: select_by_keys(db, _GET_VECTORS, keys)):
            vectors[key] = Vector(np.frombuffer(blob, np.float32), tokens, latency)
        return vectors

    def put_vectors(self, vectors: dict[bytes, Vector], *, endpoint: str, model: str) -> dict[bytes, Vector]:
        """Keeps embeddings. Returns the ones to use, as `put` does."""
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
        return [Contents(*row) for row in self._rows(lambda db: db.execute(_CONTENTS))]

    def close(self) -> None:
        if self._unwritten and self._db is not None:
            self._write([])  # the last chance to write what could not be written before
        if self._db is not None:
            self._db.close()
            self._db = None

    def _rows(self, query: Callable[[sqlite3.Connection], Iterable[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        """All rows, or none where there is no usable file."""
        if self._db is None:
            return []
        try:
            return list(query(self._db))
        except sqlite3.Error as error:
            if self._read_only:
                raise unreadable(self.path, error) from None
            self._warn_once(error)
            return []

    def _write(self, statements: Iterable[tuple[str, tuple[Any, ...]]]) -> bool:
        """Writes these and all that could not be written before. If that fails, keeps them for the next time."""
        self._unwritten.extend(statements)
        if self._db is None:
            return False
        try:
            with transaction(self._db):
                for statement, values in self._unwritten:
                    self._db.execute(statement, values)
        except sqlite3.Error as error:
            self._warn_once(error)
            return False
        self._unwritten.clear()
        self._responses.clear()
        self._vectors.clear()
        return True

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            note(f"{self.path}: the response cache cannot be used ({error}); answers are used but may not be kept")


def unreadable(path: Path, error: Exception) -> UserError:
    fix = "fix the permissions of this response cache, or name another folder with ENGRAM_EVAL_CACHE"
    return file_error(path, error, fix=fix)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Makes the file where there is none. Raises sqlite3.Error or OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return open_database(path, schema=TABLES, any_thread=True)
