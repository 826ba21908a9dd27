"""The store: turns verbatim in SQLite by number, and beside it two files with what retrieval reads about candidates.

A session is stored completely or not at all. turns.facts has sixteen bytes per turn: checksum, session, speaker, length.
turns.vectors has each turn's checksum and its embedding in half precision. They are separate files because facts are read
for all turns around a candidate, which are adjacent, but embeddings only for the candidates. Both are written, and on disk,
before the session is committed; anything after the last committed turn is overwritten. Nothing that grows with what is
stored is kept in the process's memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram_eval.backends.conditional.checksums import DamagedFileError, Words, checksums
from engram_eval.embedders.embedder import Vectors
from engram_eval.errors import UserError
from engram_eval.system.sqlite import open_or_recreate, select_by_keys, transaction
from engram_eval.types import Session, Turn

_FORMAT = 3
_SCHEMA = """
CREATE TABLE sessions (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, started_at TEXT);
CREATE TABLE speakers (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE turns (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, session INTEGER NOT NULL, speaker TEXT NOT NULL, text TEXT NOT NULL
);
"""
_SUM = ("sum", "<u4")
_FACTS = np.dtype([_SUM, ("session", "<u4"), ("speaker", "<u4"), ("words", "<u4")])
_READ_TOGETHER = 512  # bytes: rows at most this far apart are read with one call

Facts = npt.NDArray[np.void]
Rows = list[tuple[int, Turn]]
"""Turns in order, each after its session's number."""


class Store:
    """Opens turns.sqlite, turns.facts and turns.vectors in a folder, or creates them.

    A turns.sqlite of another format or embedder is replaced by an empty one.
    """

    def __init__(self, folder: Path, *, embedder: str, dimensions: int) -> None:
        self._facts = _File(folder / "turns.facts", _FACTS)
        self._dimensions = dimensions
        self._row = np.dtype([_SUM, ("vector", "<f2", (dimensions + dimensions % 2,))])  # whole 32-bit words
        self._vectors = _File(folder / "turns.vectors", self._row)
        identity = f"conditional {_FORMAT} {embedder} {dimensions}"
        self._db = open_or_recreate(folder / "turns.sqlite", identity=identity, schema=_SCHEMA)
        self.turns: int = self._db.execute("SELECT COUNT(*) FROM turns").fetchone()[0]
        self._sessions: int = self._db.execute("SELECT COUNT(*) FROM sessions").fetchone()[0]
        self.speakers: list[str] = [name for (name,) in self._db.execute("SELECT name FROM speakers ORDER BY number")]
        """Each once. A turn's `speaker` in the facts is an index into this list."""

    def has(self, session: Session) -> bool:
        """Whether the session has been added."""
        return bool(self._db.execute("SELECT 1 FROM sessions WHERE id = ?", (session.id,)).fetchone())

    def add(self, session: Session, vectors: Vectors, lengths: Sequence[int]) -> None:
        """Adds a session with one embedding and one number of content words per turn.

        Raises UserError if another process has added a session in the meantime.
        """
        speakers = list(dict.fromkeys([*self.speakers, *(turn.speaker for turn in session.turns)]))
        rows = [(self._sessions, turn) for turn in session.turns]
        started_at = session.started_at.isoformat() if session.started_at else None
        with transaction(self._db):
            (sessions,) = self._db.execute("SELECT COALESCE(MAX(number) + 1, 0) FROM sessions").fetchone()
            if sessions != self._sessions:
                raise UserError(
                    f"{self._facts.path.parent}: another process is writing to this memory; give each process its own folder"
                )
            self._write(self.turns, rows, speakers, vectors, lengths)
            self._db.execute("INSERT INTO sessions VALUES (?, ?, ?)", (self._sessions, session.id, started_at))
            self._db.executemany("INSERT INTO speakers VALUES (?, ?)", list(enumerate(speakers))[len(self.speakers) :])
            self._db.executemany(
                "INSERT INTO turns VALUES (?, ?, ?, ?, ?)",
                [
                    (self.turns + i, turn.id, self._sessions, turn.speaker, turn.text)
                    for i, turn in enumerate(session.turns)
                ],
            )
        self.speakers = speakers
        self._sessions += 1
        self.turns += len(session.turns)

    def incomplete(self) -> str | None:
        """The name of a file that lacks the last turns, if there is one."""
        return next((file.path.name for file in (self._facts, self._vectors) if file.rows < self.turns), None)

    def restore(self, first: int, rows: Rows, vectors: Vectors, lengths: Sequence[int]) -> None:
        """Writes facts and vectors again for rows of `scan`, the first of which is turn number `first`."""
        self._write(first, rows, self.speakers, vectors, lengths)

    def _write(self, first: int, rows: Rows, speakers: Sequence[str], vectors: Vectors, lengths: Sequence[int]) -> None:
        numbers = {name: i for i, name in enumerate(speakers)}
        facts = np.zeros(len(rows), _FACTS)
        facts["session"] = [session for session, _ in rows]
        facts["speaker"] = [numbers[turn.speaker] for _, turn in rows]
        facts["words"] = lengths
        self._facts.write(first, facts)
        halves = np.zeros(len(rows), self._row)
        halves["vector"][:, : self._dimensions] = vectors
        self._vectors.write(first, halves)

    def facts(self, numbers: npt.NDArray[np.int64]) -> Facts:
        """For ascending turn numbers the fields `session`, `speaker` (an index into `speakers`) and `words`.

        Raises DamagedFileError, as `vectors` does.
        """
        return self._facts.read(numbers)

    def vectors(self, numbers: npt.NDArray[np.int64]) -> Vectors:
        """The embeddings for ascending turn numbers, shape (turns, dimensions)."""
        return self._vectors.read(numbers)["vector"][:, : self._dimensions].astype(np.float32)

    def scan(self, first: int, at_a_time: int) -> Iterator[Rows]:
        """All turns from number `first` on, `at_a_time` at a time."""
        while first < self.turns:
            rows = self._db.execute(
                "SELECT session, id, speaker, text FROM turns WHERE number >= ? AND number < ? ORDER BY number",
                (first, first + at_a_time),
            ).fetchall()
            yield [(session, Turn(*rest)) for session, *rest in rows]
            first += at_a_time

    def sessions_with(self, numbers: Sequence[int]) -> list[Session]:
        """The sessions of these turns, in time order, each with only these turns."""
        rows = select_by_keys(
            self._db, "SELECT number, session, id, speaker, text FROM turns WHERE number IN ({})", sorted(numbers)
        )
        by_session: dict[int, list[Turn]] = {}
        for _, session, *rest in sorted(rows):
            by_session.setdefault(session, []).append(Turn(*rest))
        sessions = select_by_keys(
            self._db, "SELECT number, id, started_at FROM sessions WHERE number IN ({})", list(by_session)
        )
        return [
            Session(session_id, datetime.fromisoformat(started_at) if started_at else None, tuple(by_session[number]))
            for number, session_id, started_at in sorted(sessions)
        ]

    def close(self) -> None:
        self._facts.close()
        self._vectors.close()
        self._db.close()


class _File:
    """Rows of one type, by number. The first field of the type is the row's checksum, which this class sets and verifies."""

    def __init__(self, path: Path, kind: np.dtype[Any]) -> None:
        self.path = path
        self._kind = kind
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)

    @property
    def rows(self) -> int:
        return os.fstat(self._file).st_size // self._kind.itemsize

    def write(self, first: int, rows: npt.NDArray[Any]) -> None:
        rows["sum"] = checksums(_words(rows)[:, 1:])
        data, at = rows.tobytes(), first * self._kind.itemsize
        while data:
            written = os.pwrite(self._file, data, at)
            data, at = data[written:], at + written
        os.fsync(self._file)

    def read(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The rows with these ascending numbers, at least one. Raises DamagedFileError if one is damaged."""
        size = self._kind.itemsize
        apart = np.diff(numbers) * size > _READ_TOGETHER + size
        first, last = np.concatenate(([True], apart)), np.concatenate((apart, [True]))
        starts, lengths = numbers[first], numbers[last] - numbers[first] + 1
        runs = zip((starts * size).tolist(), (lengths * size).tolist(), strict=True)
        data = b"".join([os.pread(self._file, length, start) for start, length in runs])
        if len(data) != size * lengths.sum():
            raise DamagedFileError(f"{self.path}: the file is too short")
        read = np.frombuffer(data, self._kind)
        shifts = np.cumsum(lengths) - lengths - starts  # of each run: from a row's number to its place in `read`
        places: npt.NDArray[np.int64] = numbers + shifts[np.cumsum(first) - 1]
        rows = read[places]
        if (checksums(_words(rows)[:, 1:]) != rows["sum"]).any():
            raise DamagedFileError(f"{self.path}: a turn is damaged")
        return rows

    def close(self) -> None:
        os.close(self._file)


def _words(rows: npt.NDArray[Any]) -> Words:
    words: Words = rows.view("<u4").reshape(len(rows), rows.dtype.itemsize // 4)
    return words
