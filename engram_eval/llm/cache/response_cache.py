"""Paid-for answers, kept in SQLite.

An answer is written to the file before a caller gets it, so a killed process loses none. Several processes may use one
file: if two of them got different answers to the same request, both return the one that was written first.

No answer is lost if the file cannot be written (full disk, read-only folder, broken file): it is returned from memory, a
warning is printed once, and the answer is written later if that becomes possible.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

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
    endpoint TEXT NOT NULL, model TEXT NOT NULL, created REAL NOT NULL,
    served_model TEXT NOT NULL DEFAULT '', first_token_s REAL);
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY, vector BLOB NOT NULL, prompt_tokens INTEGER NOT NULL, latency_s REAL NOT NULL,
    endpoint TEXT NOT NULL, model TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS servers (endpoint TEXT PRIMARY KEY, said TEXT NOT NULL);
"""
_PUT_SERVER = "INSERT OR REPLACE INTO servers VALUES (?, ?)"
_GET_SERVER = "SELECT said FROM servers WHERE endpoint = ?"
_NEW_COLUMNS = {"served_model": "TEXT NOT NULL DEFAULT ''", "first_token_s": "REAL"}
"""Columns of `responses` that files of earlier versions lack."""
PUT_RESPONSE = "INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GET_RESPONSE = "SELECT * FROM responses WHERE key = ?"
_DROP_RESPONSE = "DELETE FROM responses WHERE key = ? AND created = ?"
PUT_VECTOR = "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?, ?, ?, ?)"
_GET_VECTORS = "SELECT key, vector, prompt_tokens, latency_s FROM vectors WHERE key IN ({})"
_CONTENTS = """SELECT endpoint, model, count(*) - sum(embedding), sum(embedding), sum(prompt_tokens),
        sum(cached_prompt_tokens), sum(completion_tokens), min(created), max(created) FROM (
    SELECT endpoint, model, 0 AS embedding, prompt_tokens, cached_prompt_tokens, completion_tokens, created
        FROM responses
    UNION ALL SELECT endpoint, model, 1, prompt_tokens, 0, 0, created FROM vectors) GROUP BY 1, 2 ORDER BY 1, 2"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Response:
    """The server's reply before any parsing. `cached_prompt_tokens`: of the prompt, what the server had in its own cache.

    `served_model`: the model's name in the reply. `first_token_s`: seconds until the first token, if the server tells.
    `created`: when the reply was kept, in seconds since 1970; 0 for one that is not kept yet.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    latency_s: float
    served_model: str = ""
    first_token_s: float | None = None
    created: float = field(default=0.0, compare=False)


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
        rows = self._rows(lambda db: _responses(db.execute(_GET_RESPONSE, (key,))))
        return rows[0] if rows else None

    def put(
        self, key: bytes, response: Response, *, endpoint: str, model: str, instead_of: Response | None = None
    ) -> Response:
        """Keeps an answer. Returns the one to use: this one, or that of another process which was faster.

        `instead_of`: the kept answer that this one replaces, unless another process has replaced it already.
        """
        response = replace(response, created=time.time())
        r = response
        row = (
            key, r.text, r.finish_reason, r.prompt_tokens, r.cached_prompt_tokens, r.completion_tokens, r.latency_s,
            endpoint, model, r.created, r.served_model, r.first_token_s,
        )  # fmt: skip
        dropped = [(_DROP_RESPONSE, (key, instead_of.created))] if instead_of else []
        if self._write([*dropped, (PUT_RESPONSE, row)]):
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

    def put_server(self, endpoint: str, said: str) -> None:
        """Keeps what a server says about itself, for replays."""
        if self.get_server(endpoint) != said:
            self._write([(_PUT_SERVER, (endpoint, said))])

    def get_server(self, endpoint: str) -> str | None:
        if self._db is None or not column_names(self._db, "servers"):
            return None
        rows = self._rows(lambda db: db.execute(_GET_SERVER, (endpoint,)))
        return str(rows[0][0]) if rows else None

    def contents(self) -> list[Contents]:
        """Sorted by endpoint and model."""
        return [Contents(*row) for row in self._rows(lambda db: db.execute(_CONTENTS))]

    def close(self) -> None:
        if self._unwritten and self._db is not None:
            self._write([])  # the last chance to write what could not be written before
        if self._db is not None:
            self._db.close()
            self._db = None

    def _rows(self, query: Callable[[sqlite3.Connection], Iterable[T]]) -> list[T]:
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


def _responses(cursor: sqlite3.Cursor) -> Iterator[Response]:
    names = [column[0] for column in cursor.description]
    fields = Response.__dataclass_fields__
    for row in cursor:
        yield Response(**{name: value for name, value in zip(names, row, strict=True) if name in fields})


def unreadable(path: Path, error: Exception) -> UserError:
    fix = "fix the permissions of this response cache, or name another folder with ENGRAM_EVAL_CACHE"
    return file_error(path, error, fix=fix)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Makes the file where there is none, and adds columns that an earlier version's file lacks.

    Raises sqlite3.Error or OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)  # it holds people's conversations; SQLite's other files get the same mode
    db = open_database(path, schema=TABLES, any_thread=True)
    known = column_names(db, "responses")
    for name, declaration in _NEW_COLUMNS.items():
        if name not in known:
            with suppress(sqlite3.OperationalError):  # another process has added it meanwhile
                db.execute(f"ALTER TABLE responses ADD COLUMN {name} {declaration}")
    return db


def column_names(db: sqlite3.Connection, table: str) -> list[str]:
    """In their order; files of earlier versions lack the last ones."""
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
