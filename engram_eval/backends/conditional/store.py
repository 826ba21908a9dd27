"""The store: turns verbatim in SQLite by number, and beside them a memory-mapped file with what is read of candidates.

A session is wholly there or not at all. The file beside it has one record a turn: session, speaker, length, embedding in
half precision. It is written, and on disk, before the session is committed; what lies behind the last committed turn is
written over. Nothing that grows with what is stored is held in memory.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram_eval.backends.sqlite_file import open_file
from engram_eval.embedding import Vectors
from engram_eval.types import Session, Turn

_FORMAT = 1
_SCHEMA = """
CREATE TABLE sessions (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, started_at TEXT);
CREATE TABLE speakers (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE turns (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, session INTEGER NOT NULL, speaker TEXT NOT NULL, text TEXT NOT NULL
);
"""
_VARIABLES = 500  # under SQLite's oldest limit of 999 a statement

Records = npt.NDArray[np.void]
Rows = list[tuple[int, Turn]]
"""Turns in order, each with its session's number."""


class Store:
    """Opens turns.sqlite and turns.vectors in a folder, or makes them. What is no store of this format is made anew."""

    def __init__(self, folder: Path, *, embedder: str, dimensions: int) -> None:
        self._vectors = folder / "turns.vectors"
        self._type = np.dtype(
            [("session", "<u4"), ("speaker", "<u4"), ("words", "<u4"), ("vector", "<f2", (dimensions,))]
        )
        identity = f"conditional {_FORMAT} {embedder} {dimensions}"
        self._db = open_file(folder / "turns.sqlite", identity=identity, schema=_SCHEMA)
        self.turns: int = self._db.execute("SELECT COUNT(*) FROM turns").fetchone()[0]
        self._sessions: int = self._db.execute("SELECT COUNT(*) FROM sessions").fetchone()[0]
        self.speakers: list[str] = [name for (name,) in self._db.execute("SELECT name FROM speakers ORDER BY number")]
        """Each once; a record's `speaker` is an index into it."""
        self._records: Records | None = None
        self._map: mmap.mmap | None = None

    def has(self, session: Session) -> bool:
        return bool(self._db.execute("SELECT 1 FROM sessions WHERE id = ?", (session.id,)).fetchone())

    def add(self, session: Session, vectors: Vectors, lengths: Sequence[int]) -> None:
        """Adds a session with one embedding and one number of content words a turn."""
        names = dict.fromkeys([*self.speakers, *(turn.speaker for turn in session.turns)])
        numbers = {name: i for i, name in enumerate(names)}
        rows = [(self._sessions, turn) for turn in session.turns]
        self._write(self.turns, self._new_records(rows, list(names), vectors, lengths))
        started_at = session.started_at.isoformat() if session.started_at else None
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("INSERT INTO sessions VALUES (?, ?, ?)", (self._sessions, session.id, started_at))
            new = [(number, name) for name, number in numbers.items() if number >= len(self.speakers)]
            self._db.executemany("INSERT INTO speakers VALUES (?, ?)", new)
            self._db.executemany(
                "INSERT INTO turns VALUES (?, ?, ?, ?, ?)",
                [
                    (self.turns + i, turn.id, self._sessions, turn.speaker, turn.text)
                    for i, turn in enumerate(session.turns)
                ],
            )
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self.speakers = list(names)
        self._sessions += 1
        self.turns += len(session.turns)
        self._records = None

    @property
    def whole(self) -> bool:
        """Whether there is a record for each turn."""
        held = self._vectors.stat().st_size if self._vectors.exists() else 0
        return held >= self.turns * self._type.itemsize

    def restore(self, first: int, rows: Rows, vectors: Vectors, lengths: Sequence[int]) -> None:
        """Writes the records of `scan`'s rows again, the first of which is turn number `first`."""
        self._write(first, self._new_records(rows, self.speakers, vectors, lengths))

    def _new_records(self, rows: Rows, speakers: Sequence[str], vectors: Vectors, lengths: Sequence[int]) -> Records:
        numbers = {name: i for i, name in enumerate(speakers)}
        records = np.zeros(len(rows), self._type)
        records["session"] = [session for session, _ in rows]
        records["speaker"] = [numbers[turn.speaker] for _, turn in rows]
        records["words"] = lengths
        records["vector"] = vectors
        return records

    def _write(self, first: int, records: Records) -> None:
        with self._vectors.open("r+b" if self._vectors.exists() else "w+b") as file:
            file.seek(first * self._type.itemsize)
            file.write(records.tobytes())
            file.flush()
            os.fsync(file.fileno())
        self._records = None

    def records(self, numbers: npt.NDArray[np.int64]) -> Records:
        """The records of turns, fields `session`, `speaker` (an index into `speakers`), `words` and `vector`."""
        if self._records is None:
            if self._map is not None:
                self._map.close()
                self._map = None
            if not self.turns:
                return np.zeros(0, self._type)
            with self._vectors.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), self.turns * self._type.itemsize, access=mmap.ACCESS_READ)
            self._map.madvise(mmap.MADV_RANDOM)
            self._records = np.frombuffer(self._map, self._type)
        found = self._records[numbers]
        assert self._map is not None
        self._map.madvise(mmap.MADV_DONTNEED)
        return found

    def scan(self, first: int, at_a_time: int) -> Iterator[Rows]:
        """All turns from a number on, in order, some at a time, each with its session's number."""
        while first < self.turns:
            rows = self._db.execute(
                "SELECT session, id, speaker, text FROM turns WHERE number >= ? AND number < ? ORDER BY number",
                (first, first + at_a_time),
            ).fetchall()
            yield [(session, Turn(*rest)) for session, *rest in rows]
            first += at_a_time

    def sessions_with(self, numbers: Sequence[int]) -> list[Session]:
        """The sessions of turns, in time order, each with these turns alone."""
        rows = self._select(
            "SELECT number, session, id, speaker, text FROM turns WHERE number IN ({})", sorted(numbers)
        )
        by_session: dict[int, list[Turn]] = {}
        for _, session, *rest in sorted(rows):
            by_session.setdefault(session, []).append(Turn(*rest))
        heads = self._select("SELECT number, id, started_at FROM sessions WHERE number IN ({})", list(by_session))
        return [
            Session(session_id, datetime.fromisoformat(started_at) if started_at else None, tuple(by_session[number]))
            for number, session_id, started_at in sorted(heads)
        ]

    def _select(self, query: str, keys: Sequence[int]) -> list[tuple[Any, ...]]:
        out: list[tuple[Any, ...]] = []
        for start in range(0, len(keys), _VARIABLES):
            batch = keys[start : start + _VARIABLES]
            out += self._db.execute(query.format(",".join("?" * len(batch))), batch).fetchall()
        return out

    def close(self) -> None:
        self._records = None
        if self._map is not None:
            self._map.close()
        self._db.close()
