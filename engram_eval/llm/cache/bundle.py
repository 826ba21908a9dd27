"""Cached answers and embeddings as one file. With it, others can repeat a run bit for bit without calling a model.

Gzip-compressed JSON Lines: a header with the version and the counts, then the answers, then the embeddings, each sorted
by key. The same entries give the same bytes. Memory does not grow with the cache, when writing or when reading.
"""

from __future__ import annotations

import gzip
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError
from engram_eval.llm.cache.bundle_lines import (
    ENTRY_TYPES,
    VERSION,
    Entry,
    FormatVersion,
    Header,
    entry_line,
    header_line,
    read_key,
)
from engram_eval.llm.cache.response_cache import TABLES, column_names, open_for_writing, unreadable
from engram_eval.system.files import file_error, replacing
from engram_eval.system.sqlite import open_read_only, transaction
from engram_eval.system.validation import validate_json
from engram_eval.tables.text import plural

KEYS_FILE = "cache_keys.txt"  # in a run's folder: the keys of what the run used, in hex, one per line
_LONGEST_LINE = 1 << 26  # bytes; a file that unpacks without end is no bundle
_BUSY_S = 60  # another process may be importing
_FETCH_AGAIN = "fetch or export it again"
_NAME_A_BUNDLE = "name a bundle made with 'engram-eval cache export'"


@dataclass(frozen=True, slots=True)
class Entries:
    answers: int
    embeddings: int

    def __str__(self) -> str:
        return f"{plural(self.answers, 'answer')} and {plural(self.embeddings, 'embedding')}"


@dataclass(frozen=True, slots=True)
class Imported:
    """`known`: the entries that the cache held already. They are left as they were."""

    added: Entries
    known: Entries


def export_bundle(cache: Path, bundle: Path, runs: Sequence[Path] = ()) -> Entries:
    """Writes what the cache file holds or, if `runs` are named, what these runs used of it.

    `bundle` is written whole or left as it was. Raises UserError if there is no cache, if it lacks what a run used, or if
    `bundle` cannot be written.
    """
    try:
        db = open_read_only(cache)
        if db is None:
            raise UserError(f"{cache}: there is no response cache to export; a run with a model makes one")
        with closing(db):
            db.execute("BEGIN")  # one state of the cache, even if others write meanwhile
            if runs:
                _select_used(db, cache, runs)
            return _write(db, bundle, "used CROSS JOIN {} USING (key)" if runs else "{}")
    except sqlite3.Error as error:
        raise unreadable(cache, error) from None


def import_bundle(bundle: Path, cache: Path) -> Imported:
    """Adds to the cache file what it does not hold yet: all of the bundle or, if anything in it is wrong, nothing.

    Raises UserError for a bundle that is not whole and in order, and for a cache that cannot be written.
    """
    try:
        # The whole bundle is read into a temporary database on disk first, so that others wait for the cache only briefly.
        with closing(sqlite3.connect("", isolation_level=None)) as staged:
            staged.executescript(TABLES)
            staged.execute("BEGIN")
            read = _stage(bundle, staged)
            with closing(open_for_writing(cache)) as db:
                db.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000}")
                with transaction(db):
                    answers, embeddings = (
                        db.executemany(kind.put, staged.execute(f"SELECT * FROM {kind.table}")).rowcount
                        for kind in ENTRY_TYPES
                    )
    except (sqlite3.Error, OSError) as error:
        fix = "free some space, fix its permissions, or name another folder with ENGRAM_EVAL_CACHE"
        raise file_error(cache, error, fix=fix, action="written") from None
    return Imported(Entries(answers, embeddings), Entries(read.answers - answers, read.embeddings - embeddings))


def forget_runs(cache: Path, runs: Sequence[Path]) -> Entries:
    """Removes what these runs used from the cache file. Other runs that used the same answers ask for them again, too.

    Raises UserError if there is no cache, or if it cannot be written.
    """
    if not cache.exists():
        raise UserError(f"{cache}: there is no response cache; a run with a model makes one")
    try:
        with closing(open_for_writing(cache)) as db:
            db.execute("CREATE TEMP TABLE used (key BLOB PRIMARY KEY) WITHOUT ROWID")
            for run in runs:
                db.executemany("INSERT OR IGNORE INTO used VALUES (?)", _keys(run))
            with transaction(db):
                return Entries(
                    *(
                        db.execute(f"DELETE FROM {kind.table} WHERE key IN (SELECT key FROM used)").rowcount
                        for kind in ENTRY_TYPES
                    )
                )
    except (sqlite3.Error, OSError) as error:
        fix = "free some space, fix its permissions, or name another folder with ENGRAM_EVAL_CACHE"
        raise file_error(cache, error, fix=fix, action="written") from None


# --- export -----------------------------------------------------------------------------------------------------


def _select_used(db: sqlite3.Connection, cache: Path, runs: Sequence[Path]) -> None:
    """Makes the table `used` of the keys that the runs used. Raises UserError if the cache does not hold all of them."""
    db.execute("CREATE TEMP TABLE used (key BLOB PRIMARY KEY) WITHOUT ROWID")
    for run in runs:
        db.executemany("INSERT OR IGNORE INTO used VALUES (?)", _keys(run))
    absent = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {k.table} WHERE key = used.key)" for k in ENTRY_TYPES)
    missing, used = db.execute(f"SELECT sum({absent}), count(*) FROM used").fetchone()
    if missing:
        raise UserError(
            f"{cache}: lacks {missing:,} of the {used:,} answers and embeddings that {', '.join(map(str, runs))} used; "
            "repeat the run, which requests them again, and then export it"
        )


def _keys(run: Path) -> Iterator[tuple[bytes]]:
    path = run / KEYS_FILE
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(100), b""), start=1):
                try:
                    yield (read_key(line.decode("ascii").removesuffix("\n")),)
                except ValueError:
                    raise UserError(
                        f"{path}: line {number} is not a cache key; without --run the whole cache is exported"
                    ) from None
    except OSError as error:
        fix = f"name the folder of a run that asked a model and ended by itself: is {run} one?"
        raise file_error(path, error, fix=fix) from None


def _write(db: sqlite3.Connection, bundle: Path, source: str) -> Entries:
    """`source`: a table, or a join with it; {} is replaced by the table's name."""
    count = Entries(*(db.execute(f"SELECT count(*) FROM {source.format(k.table)}").fetchone()[0] for k in ENTRY_TYPES))
    try:
        # Without a name and a time in it, the same entries give the same bytes.
        with replacing(bundle) as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            packed.write(header_line(count.answers, count.embeddings))
            for kind in ENTRY_TYPES:
                columns = [name for name in kind.model_fields if name in column_names(db, kind.table)]
                for row in db.execute(f"SELECT {', '.join(columns)} FROM {source.format(kind.table)} ORDER BY key"):
                    packed.write(entry_line(kind, columns, row))
    except OSError as error:
        raise file_error(bundle, error, fix="name another file", action="written") from None
    return count


# --- import -----------------------------------------------------------------------------------------------------


def _stage(bundle: Path, db: sqlite3.Connection) -> Entries:
    """Reads the whole bundle into `db`. Raises UserError if it is not whole and in order."""
    lines = enumerate(_lines(bundle), start=1)
    count = _read_header(bundle, next(lines, (1, b""))[1])
    for kind, entries in zip(ENTRY_TYPES, (count.answers, count.embeddings), strict=True):
        db.executemany(kind.put, _rows(bundle, islice(lines, entries), kind, entries))
    if next(lines, None) is not None:
        raise UserError(f"{bundle}: holds more entries than its first line states; {_FETCH_AGAIN}")
    return count


def _read_header(bundle: Path, line: bytes) -> Entries:
    where = f"{bundle}: line 1"
    version = validate_json(FormatVersion, line, where=where, fix=_NAME_A_BUNDLE).engram_eval_cache
    if version != VERSION:
        raise UserError(
            f"{bundle}: has version {version}, and this engram-eval reads version {VERSION}; use the version that wrote it"
        )
    header = validate_json(Header, line, where=where, fix=_NAME_A_BUNDLE)
    return Entries(header.answers, header.embeddings)


def _rows(bundle: Path, lines: Iterator[tuple[int, bytes]], kind: type[Entry], count: int) -> Iterator[tuple[Any, ...]]:
    last, read = b"", 0
    for read, (number, line) in enumerate(lines, start=1):  # noqa: B007 - counts them
        where = f"{bundle}: line {number}"
        if not line.endswith(b"\n"):
            raise UserError(f"{where}: is cut off, or longer than {_LONGEST_LINE:,} bytes; {_FETCH_AGAIN}")
        entry = validate_json(kind, line, where=where, fix=_FETCH_AGAIN)
        if entry.key <= last:
            raise UserError(f"{where}: is out of order; {_FETCH_AGAIN}")
        last = entry.key
        yield entry.row()
    if read < count:
        raise UserError(f"{bundle}: holds fewer entries than its first line states; {_FETCH_AGAIN}")


def _lines(bundle: Path) -> Iterator[bytes]:
    try:
        with gzip.open(bundle) as file:
            while line := file.readline(_LONGEST_LINE):
                yield line
    except EOFError:
        raise UserError(f"{bundle}: is cut off; {_FETCH_AGAIN}") from None
    except (gzip.BadGzipFile, zlib.error):
        raise UserError(f"{bundle}: is damaged, or not a gzip file; {_NAME_A_BUNDLE}, or {_FETCH_AGAIN}") from None
    except OSError as error:
        raise file_error(bundle, error, fix="name a bundle") from None
