"""Reads the dialogues format: JSON Lines, one conversation a line (record.py has the keys).

Rules for what a line leaves open:

- Sessions are put in time order; a session without a date stays behind the session before it.
- Sessions, turns and questions without an id are numbered (`S2`, `S2:1`, `CONVERSATION:q0`).
- A question without a category is `uncategorised`, or `unanswerable`.
- A question without evidence is kept, and left out of retrieval metrics.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from engram_eval.datasets.dataset import Notes, in_time_order, note_evidence_after
from engram_eval.datasets.dialogues.record import ConversationRecord, QuestionRecord, SessionRecord, parse_date
from engram_eval.errors import UserError
from engram_eval.system.json_input import read_json_lines, refuse_repeated_keys
from engram_eval.system.validation import validate_json
from engram_eval.types import Conversation, ConversationInfo, Question, Sample, Session, Turn

UNCATEGORISED, UNANSWERABLE = "uncategorised", "unanswerable"
NOT_MENTIONED = "not mentioned in the conversation"
_FIX = "see the format in 'engram-eval datasets check --help'"


def read_samples(path: Path, notes: Notes) -> Iterator[Sample]:
    """The conversations in the order of their lines. Raises UserError at the first fault, unless `notes` skips such lines."""
    for sample, fault in _read(path, notes):
        if fault:
            notes.bad_record(fault)
        if sample:
            yield sample


def sound_records(path: Path) -> Iterator[ConversationRecord]:
    """The lines that are sound by themselves. The fault of another is reported where the samples are read."""
    for number, line in _lines(path):
        with suppress(UserError):
            yield _record(line, f"{path}: line {number}")


def _read(path: Path, notes: Notes) -> Iterator[tuple[Sample | None, UserError | None]]:
    """For each line its sample or its fault."""
    seen: dict[str, int] = {}
    empty = True
    for number, line in _lines(path):
        empty = False
        where = f"{path}: line {number}"
        try:
            sample = _sample(_record(line, where), notes, where)
            _refuse_repeated(sample, seen, number, where)
        except UserError as fault:
            yield None, fault
        else:
            yield sample, None
    if empty:
        yield None, UserError(f"{path}: line 1: holds no conversation; {_FIX}")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    lines = read_json_lines(path, fix="name a file of dialogues, one JSON object a line, with --data")
    return ((number, line) for number, line in lines if line.strip())


def _record(line: bytes, where: str) -> ConversationRecord:
    if b"\\ud" in line.lower():  # JSON can spell half of a surrogate pair, which UTF-8 cannot
        with suppress(ValueError, RecursionError):
            line = json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace")
    refuse_repeated_keys(line, where, _FIX)
    return validate_json(ConversationRecord, line, where=where, fix=_FIX)


def _refuse_repeated(sample: Sample, seen: dict[str, int], number: int, where: str) -> None:
    """Raises UserError if an earlier line has the conversation's id or that of one of its questions."""
    names = {
        f"conversation id {sample.conversation.id!r}": "give each conversation its own id",
        **{f"question id {question.id!r}": "give each question its own id" for question in sample.questions},
    }
    for name, fix in names.items():
        if name in seen:
            raise UserError(f"{where}: {name} is already on line {seen[name]}; {fix}")
    seen |= dict.fromkeys(names, number)


def _sample(record: ConversationRecord, notes: Notes, where: str) -> Sample:
    sessions = _sessions(record, where)
    ordered = in_time_order(sessions)
    speakers = tuple(dict.fromkeys(turn.speaker for session in ordered for turn in session.turns))
    session_of = {turn.id: session.id for session in ordered for turn in session.turns}
    questions = tuple(
        _question(question, number, record.id, session_of, where) for number, question in enumerate(record.questions)
    )
    _refuse_repeated_ids({f"questions[{i}].id": question.id for i, question in enumerate(questions)}, where)
    if ordered != sessions:
        notes.add("sessions out of time order: put in time order", record.id)
    for session in ordered:
        if session.started_at is None:
            notes.add("sessions without a date: kept, undated", f"{record.id} {session.id}")
        for turn in session.turns:
            if not turn.text.strip():
                notes.doubt("turns without text: kept", f"{record.id} {turn.id}")
    for question in questions:
        note_evidence_after(question, ordered, notes)
        if question.unanswerable:
            notes.add("unanswerable questions: scored as abstention", question.id)
        if not question.evidence:
            notes.add("questions without evidence turns: kept, left out of turn-level retrieval metrics", question.id)
    return Sample(Conversation(ConversationInfo(record.id, speakers), ordered), questions)


def _sessions(record: ConversationRecord, where: str) -> tuple[Session, ...]:
    """In the order of the file."""
    sessions = tuple(_session(session, number) for number, session in enumerate(record.sessions, start=1))
    _refuse_repeated_ids({f"sessions[{i}].id": session.id for i, session in enumerate(sessions)}, where)
    turns = {
        f"sessions[{i}].turns[{j}].id": turn.id
        for i, session in enumerate(sessions)
        for j, turn in enumerate(session.turns)
    }
    _refuse_repeated_ids(turns, where)
    return sessions


def _session(record: SessionRecord, number: int) -> Session:
    session_id = record.id or f"S{number}"
    turns = tuple(
        Turn(turn.id or f"{session_id}:{place}", turn.speaker, turn.text)
        for place, turn in enumerate(record.turns, start=1)
    )
    return Session(session_id, parse_date(record.date) if record.date else None, turns)


def _refuse_repeated_ids(ids: Mapping[str, str], where: str) -> None:
    """`ids`: by their paths in the record."""
    paths: dict[str, str] = {}
    for path, name in ids.items():
        if name in paths:
            raise UserError(f"{where}: '{path}' is {name!r}, as '{paths[name]}' is; give each its own id")
        paths[name] = path


def _question(
    record: QuestionRecord, number: int, conversation_id: str, session_of: Mapping[str, str], where: str
) -> Question:
    path = f"questions[{number}]"
    unanswerable = bool(record.unanswerable)
    if not record.question.strip():
        raise UserError(f"{where}: '{path}.question' is empty; give the question")
    if not str(record.answer if record.answer is not None else "").strip() and not unanswerable:
        fault = "missing" if record.answer is None else "empty"
        raise UserError(f"{where}: '{path}.answer' is {fault}; give the gold answer, or \"unanswerable\": true")
    evidence = record.evidence or ()
    _refuse_unknown_ids(evidence, session_of, f"{where}: '{path}.evidence", "turn")
    if record.evidence_sessions is None:
        evidence_sessions = [session_of[turn_id] for turn_id in evidence]
    else:
        evidence_sessions = list(record.evidence_sessions)
        known = dict.fromkeys(session_of.values())
        _refuse_unknown_ids(evidence_sessions, known, f"{where}: '{path}.evidence_sessions", "session")
    return Question(
        id=record.id or f"{conversation_id}:q{number}",
        conversation_id=conversation_id,
        text=record.question,
        gold=NOT_MENTIONED if record.answer is None else str(record.answer),
        category=category_of(record),
        asked_at=parse_date(record.date) if record.date else None,
        evidence=tuple(dict.fromkeys(evidence)),
        evidence_sessions=tuple(dict.fromkeys(evidence_sessions)),
        unanswerable=unanswerable,
    )


def _refuse_unknown_ids(names: Sequence[str], known: Mapping[str, object], where: str, what: str) -> None:
    for place, name in enumerate(names):
        if name not in known:
            raise UserError(
                f"{where}[{place}]' is {name!r}, which is no {what} of the conversation; "
                f"use the {what}s' ids, such as {next(iter(known))!r}"
            )


def category_of(record: QuestionRecord) -> str:
    return record.category or (UNANSWERABLE if record.unanswerable else UNCATEGORISED)
