"""Cached answers and embeddings as one file, with which others repeat a run bit for bit and call nobody.

Gzip-compressed JSON Lines: a header with the version and the counts, then the answers, then the embeddings, each sorted
by key. The same entries give the same bytes. Memory does not grow with the cache, either way.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from engram_eval.errors import UserError
from engram_eval.llm.cache.response_cache import (
    PUT_RESPONSE,
    PUT_VECTOR,
    TABLES,
    open_for_reading,
    open_for_writing,
    unreadable,
)
from engram_eval.tables.text import plural

KEYS_FILE = "cache_keys.txt"  # in a run's folder: the keys of what the run used, in hex, one a line
_HEADER, _VERSION = "engram_eval_cache", 1
_LONGEST_LINE = 1 << 26  # bytes; what unpacks without end is no bundle
_ABSURD = 10**12  # tokens or seconds; over it, SQLite and dates fail
_BUSY_S = 60  # another process may be importing
_KEY = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Entries:
    answers: int
    embeddings: int

    def __str__(self) -> str:
        return f"{plural(self.answers, 'answer')} and {plural(self.embeddings, 'embedding')}"


@dataclass(frozen=True, slots=True)
class Imported:
    """`known`: the entries that were there already, and stayed as they were."""

    added: Entries
    known: Entries


def export_bundle(cache: Path, bundle: Path, runs: Sequence[Path] = ()) -> Entries:
    """Writes what the cache file holds or, of it, what the runs in these folders used. `bundle` is whole or as it was.

    Raises UserError where there is no cache, where it lacks what a run used, and where `bundle` cannot be written.
    """
    try:
        db = open_for_reading(cache)
        if db is None:
            raise UserError(f"{cache}: there is no response cache to export; a run with a model makes one")
        with closing(db):
            db.execute("BEGIN")  # one state of the cache, whoever writes meanwhile
            if runs:
                _want(db, cache, runs)
            return _write(db, bundle, "wanted CROSS JOIN {} USING (key)" if runs else "{}")
    except sqlite3.Error as error:
        raise unreadable(cache, error) from None


def import_bundle(bundle: Path, cache: Path) -> Imported:
    """Adds to the cache file what is not there yet: all of the bundle or, where anything is wrong with it, nothing.

    Raises UserError for a bundle that is not whole and in order, and for a cache that cannot be written.
    """
    try:
        # First to the end into a temporary database on the disk: other processes wait for the cache only briefly.
        with closing(sqlite3.connect("", isolation_level=None)) as staged:
            staged.executescript(TABLES)
            staged.execute("BEGIN")
            read = _stage(bundle, staged)
            with closing(open_for_writing(cache)) as db:
                db.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000}")
                db.execute("BEGIN IMMEDIATE")
                answers, embeddings = (
                    db.executemany(kind.put, staged.execute(f"SELECT * FROM {kind.table}")).rowcount for kind in _KINDS
                )
                db.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise UserError(
            f"{cache}: the response cache cannot be written ({error}); free some space, mend its permissions, or name "
            "another folder with ENGRAM_EVAL_CACHE"
        ) from None
    return Imported(Entries(answers, embeddings), Entries(read.answers - answers, read.embeddings - embeddings))


# --- entries as lines -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    """A table, and the names of its columns in their order; they are the fields of a line."""

    table: str
    put: str
    fields: tuple[str, ...]

    def line(self, row: Sequence[Any]) -> bytes:
        return _line({name: _WRITERS.get(name, _as_is)(value) for name, value in zip(self.fields, row, strict=True)})

    def row(self, line: bytes) -> tuple[Any, ...]:
        """Raises ValueError for anything but a line as `line` makes it."""
        entry = _parsed(line)
        if not isinstance(entry, dict) or entry.keys() != set(self.fields):
            raise ValueError(f"is not an entry with the fields {', '.join(self.fields)}")
        row = []
        for name in self.fields:
            try:
                row.append(_READERS[name](entry[name]))
            except (ValueError, TypeError):
                raise ValueError(f"has a {name} that is none") from None
        return tuple(row)


_OF_BOTH = ("latency_s", "endpoint", "model", "created")
_KINDS = (
    _Kind(
        "responses", PUT_RESPONSE,
        ("key", "text", "finish_reason", "prompt_tokens", "cached_prompt_tokens", "completion_tokens", *_OF_BOTH),
    ),
    _Kind("vectors", PUT_VECTOR, ("key", "vector", "prompt_tokens", *_OF_BOTH)),
)  # fmt: skip


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> Any:
    try:
        if line.endswith(b"\n"):
            return json.loads(line)
    except (ValueError, RecursionError):
        pass
    raise ValueError("is not JSON")


def _as_is(value: Any) -> Any:
    return value


def _packed(blob: bytes) -> str:
    return base64.b64encode(np.frombuffer(blob, np.float32).astype("<f4").tobytes()).decode()


def _unpacked(value: Any) -> bytes:
    vector = np.frombuffer(base64.b64decode(value, validate=True), "<f4")
    if not len(vector) or not np.isfinite(vector).all():
        raise ValueError
    return vector.astype(np.float32).tobytes()


def _key(value: Any) -> bytes:
    if not _KEY.fullmatch(value):
        raise ValueError
    return bytes.fromhex(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # fails on half of a pair of surrogates, which SQLite does not take
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _ABSURD:
        raise ValueError
    return value


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < _ABSURD:  # also catches NaN
        raise ValueError
    return float(value)


_WRITERS: dict[str, Callable[[Any], Any]] = {"key": bytes.hex, "vector": _packed}
_READERS: dict[str, Callable[[Any], Any]] = {
    "key": _key, "vector": _unpacked, "text": _text, "finish_reason": _text, "endpoint": _text, "model": _text,
    "prompt_tokens": _count, "cached_prompt_tokens": _count, "completion_tokens": _count,
    "latency_s": _seconds, "created": _seconds,
}  # fmt: skip


# --- export -----------------------------------------------------------------------------------------------------


def _want(db: sqlite3.Connection, cache: Path, runs: Sequence[Path]) -> None:
    """Makes the table `wanted` of what the runs used. Raises UserError if the cache does not hold all of it."""
    db.execute("CREATE TEMP TABLE wanted (key BLOB PRIMARY KEY) WITHOUT ROWID")
    for run in runs:
        db.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", _keys(run))
    absent = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {k.table} WHERE key = wanted.key)" for k in _KINDS)
    missing, wanted = db.execute(f"SELECT sum({absent}), count(*) FROM wanted").fetchone()
    if missing:
        raise UserError(
            f"{cache}: lacks {missing:,} of the {wanted:,} answers and embeddings that {', '.join(map(str, runs))} used; "
            "do the run again, which asks for them again, and export that"
        )


def _keys(run: Path) -> Iterator[tuple[bytes]]:
    path = run / KEYS_FILE
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(100), b""), start=1):
                try:
                    yield (_key(line.decode("ascii").removesuffix("\n")),)
                except ValueError:
                    raise UserError(
                        f"{path}: line {number} is not a cache key; without --run the whole cache is exported"
                    ) from None
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; is {run} the folder of a run that asked a model, and finished or stopped by itself?"
        ) from None


def _write(db: sqlite3.Connection, bundle: Path, source: str) -> Entries:
    if bundle.exists() and not bundle.is_file():
        raise UserError(f"{bundle}: is not a file; name the file to write, as in run.jsonl.gz")
    count = Entries(*(db.execute(f"SELECT count(*) FROM {source.format(k.table)}").fetchone()[0] for k in _KINDS))
    partial = bundle.with_name(f"{bundle.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as file:
            # No name and no time in it: the same entries are to give the same bytes.
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                packed.write(_line({_HEADER: _VERSION, "answers": count.answers, "embeddings": count.embeddings}))
                for kind in _KINDS:
                    columns = ", ".join(kind.fields)
                    for row in db.execute(f"SELECT {columns} FROM {source.format(kind.table)} ORDER BY key"):
                        packed.write(kind.line(row))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(bundle)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UserError(f"{bundle}: cannot be written ({error.strerror}); name another file") from None
        raise
    return count


# --- import -----------------------------------------------------------------------------------------------------


def _stage(bundle: Path, db: sqlite3.Connection) -> Entries:
    """Reads all of the bundle. Raises UserError if it is not whole and in order."""
    lines = enumerate(_lines(bundle), start=1)
    count = _read_header(bundle, next(lines, (1, b""))[1])
    for kind, entries in zip(_KINDS, (count.answers, count.embeddings), strict=True):
        db.executemany(kind.put, _rows(bundle, islice(lines, entries), kind, entries))
    if next(lines, None) is not None:
        raise UserError(f"{bundle}: holds more entries than its first line says; fetch or export it anew")
    return count


def _read_header(bundle: Path, line: bytes) -> Entries:
    try:
        header = _parsed(line)
        version = _count(header.pop(_HEADER))
        if version == _VERSION:
            return Entries(_count(header["answers"]), _count(header["embeddings"]))
    except (ValueError, TypeError, AttributeError, KeyError):
        raise UserError(
            f"{bundle}: is not a bundle made with 'engram-eval cache export', by its first line; name one"
        ) from None
    raise UserError(
        f"{bundle}: is of version {version}, and this engram-eval reads version {_VERSION}; use the one that made it"
    )


def _rows(bundle: Path, lines: Iterator[tuple[int, bytes]], kind: _Kind, count: int) -> Iterator[tuple[Any, ...]]:
    last, read = b"", 0
    for read, (number, line) in enumerate(lines, start=1):  # noqa: B007 - counts them
        try:
            row = kind.row(line)
            if row[0] <= last:
                raise ValueError("stands out of order")
        except ValueError as error:
            raise UserError(f"{bundle}: line {number} {error}; fetch or export it anew") from None
        last = row[0]
        yield row
    if read < count:
        raise UserError(f"{bundle}: holds fewer entries than its first line says; fetch or export it anew")


def _lines(bundle: Path) -> Iterator[bytes]:
    try:
        with gzip.open(bundle) as file:
            while line := file.readline(_LONGEST_LINE):
                yield line
    except EOFError:
        raise UserError(f"{bundle}: is cut off; fetch or export it anew") from None
    except (gzip.BadGzipFile, zlib.error):
        raise UserError(
            f"{bundle}: is damaged, or not a bundle made with 'engram-eval cache export'; fetch or export it anew"
        ) from None
    except OSError as error:
        raise UserError(f"{bundle}: cannot be read ({error.strerror}); name a bundle") from None
