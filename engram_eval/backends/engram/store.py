"""The store: one SQLite file per conversation, with one table for each memory type.

Each session is added in one transaction, so an interrupted ingest can continue where it stopped. Retrieval reads only what
is in the file, so a memory that is opened again retrieves the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np

from engram_eval.backends.engram.extractor import MemoryRecord
from engram_eval.backends.engram.router import MemoryType
from engram_eval.embedders.embedder import Vectors
from engram_eval.system.sqlite import open_or_recreate, transaction
from engram_eval.types import Session, Turn

_FORMAT = 2

_SCHEMA = """
CREATE TABLE sessions (id TEXT PRIMARY KEY, position INTEGER NOT NULL, started_at TEXT);
CREATE TABLE turns (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, session TEXT NOT NULL REFERENCES sessions, speaker TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE episodic (
    id INTEGER PRIMARY KEY, turns TEXT NOT NULL, verbatim INTEGER NOT NULL, title TEXT NOT NULL, summary TEXT NOT NULL,
    anchor_start TEXT, anchor_end TEXT, embedding BLOB NOT NULL
);
CREATE TABLE semantic (
    id INTEGER PRIMARY KEY, turns TEXT NOT NULL, verbatim INTEGER NOT NULL, fact TEXT NOT NULL,
    anchor_start TEXT, anchor_end TEXT, embedding BLOB NOT NULL
);
CREATE TABLE procedural (
    id INTEGER PRIMARY KEY, turns TEXT NOT NULL, verbatim INTEGER NOT NULL, title TEXT NOT NULL, content TEXT NOT NULL,
    anchor_start TEXT, anchor_end TEXT, embedding BLOB NOT NULL
);
"""
# The column `turns` is a JSON list of turn ids. The paper's schema gives each type its own name for the text, and titles to
# two of them.
_TEXT_COLUMN = {MemoryType.EPISODIC: "summary", MemoryType.SEMANTIC: "fact", MemoryType.PROCEDURAL: "content"}
_TITLED = (MemoryType.EPISODIC, MemoryType.PROCEDURAL)


@dataclass(frozen=True, slots=True)
class StoredTurn:
    turn: Turn
    session: int
    """The session's position in time, from 0."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything that a memory holds. Records are grouped by store, and in a store by type."""

    session_dates: list[datetime | None]
    turns: list[StoredTurn]
    records: list[MemoryRecord]
    places: list[int]
    """For each record the index in `turns` of its first turn."""
    vectors: Vectors
    """For each record its embedding, shape (records, dimensions)."""

    @staticmethod
    def joined(parts: Sequence[Stored]) -> Stored:
        """What several stores hold, one after the other, as if each had sessions of its own."""
        if len(parts) == 1:
            return parts[0]
        session_dates, turns, records, places = (
            list[datetime | None](),
            list[StoredTurn](),
            list[MemoryRecord](),
            list[int](),
        )
        for part in parts:
            places += [len(turns) + place for place in part.places]
            turns += [replace(turn, session=len(session_dates) + turn.session) for turn in part.turns]
            session_dates += part.session_dates
            records += part.records
        return Stored(session_dates, turns, records, places, np.concatenate([part.vectors for part in parts]))

    def speaker(self, record: int) -> str:
        """The speaker of a record's first turn."""
        return self.turns[self.places[record]].turn.speaker


class Store:
    """Opens the file, or creates it. A file that is not a store of this format and embedder is replaced by an empty one."""

    def __init__(self, path: Path, *, embedder: str, dimensions: int) -> None:
        self._dimensions = dimensions
        identity = f"engram {_FORMAT} {embedder} {dimensions}"
        self._db = open_or_recreate(path, identity=identity, schema=_SCHEMA)

    def has(self, session: Session) -> bool:
        """Whether the session has been added."""
        return bool(self._db.execute("SELECT 1 FROM sessions WHERE id = ?", (session.id,)).fetchone())

    def add(self, session: Session, records: list[tuple[MemoryRecord, Vectors]]) -> None:
        """Adds a session and its records, each with its embedding."""
        started_at = session.started_at.isoformat() if session.started_at else None
        with transaction(self._db):
            position = self._db.execute("SELECT COUNT(*) FROM sessions").fetchone()[0]
            first_turn = self._db.execute("SELECT COUNT(*) FROM turns").fetchone()[0]
            self._db.execute("INSERT INTO sessions VALUES (?, ?, ?)", (session.id, position, started_at))
            self._db.executemany(
                "INSERT INTO turns VALUES (?, ?, ?, ?, ?)",
                [
                    (turn.id, first_turn + i, session.id, turn.speaker, turn.text)
                    for i, turn in enumerate(session.turns)
                ],
            )
            for record, vector in records:
                self._add_record(record, vector)

    def _add_record(self, record: MemoryRecord, vector: Vectors) -> None:
        columns = {
            "turns": json.dumps(record.turn_ids),
            "verbatim": record.verbatim,
            _TEXT_COLUMN[record.type]: record.text,
            "embedding": vector.tobytes(),
        }
        if record.type in _TITLED:
            columns["title"] = record.title
        if record.anchor:
            columns["anchor_start"], columns["anchor_end"] = (day.isoformat() for day in record.anchor)
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self._db.execute(f"INSERT INTO {record.type} ({names}) VALUES ({marks})", tuple(columns.values()))

    def load(self) -> Stored:
        """Reads everything."""
        sessions = self._db.execute("SELECT id, started_at FROM sessions ORDER BY position").fetchall()
        session_places = {session_id: i for i, (session_id, _) in enumerate(sessions)}
        turns = [
            StoredTurn(Turn(turn_id, speaker, text), session_places[session])
            for turn_id, session, speaker, text in self._db.execute(
                "SELECT id, session, speaker, text FROM turns ORDER BY position"
            )
        ]
        records, vectors = self._load_records()
        turn_places = {stored.turn.id: i for i, stored in enumerate(turns)}
        places = [turn_places[record.turn_ids[0]] for record in records]
        dates = [datetime.fromisoformat(started_at) if started_at else None for _, started_at in sessions]
        return Stored(dates, turns, records, places, vectors)

    def _load_records(self) -> tuple[list[MemoryRecord], Vectors]:
        count = sum(self._db.execute(f"SELECT COUNT(*) FROM {kind}").fetchone()[0] for kind in MemoryType)
        vectors = np.empty((count, self._dimensions), np.float32)
        records: list[MemoryRecord] = []
        for kind in MemoryType:
            title = "title" if kind in _TITLED else "''"
            columns = f"turns, {title}, {_TEXT_COLUMN[kind]}, anchor_start, anchor_end, verbatim, embedding"
            query = f"SELECT {columns} FROM {kind} ORDER BY id"
            for turn_ids, record_title, text, start, end, verbatim, blob in self._db.execute(query):
                anchor = (date.fromisoformat(start), date.fromisoformat(end)) if start else None
                vectors[len(records)] = np.frombuffer(blob, np.float32)
                turns = tuple(json.loads(turn_ids))
                records.append(MemoryRecord(kind, turns, record_title, text, anchor, bool(verbatim)))
        return records, vectors

    def close(self) -> None:
        self._db.close()
