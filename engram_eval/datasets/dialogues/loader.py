"""Reads the dialogues format: JSON Lines, one conversation a line (record.py has the keys).

Rules for what a line leaves open:

- Sessions are put in time order; a session without a date stays behind the session before it.
- Sessions, turns and questions without an id are numbered (`S2`, `S2:1`, `CONVERSATION:q0`).
- A question without a category is `uncategorised`, or `unanswerable`.
- A question without evidence is kept, and left out of retrieval metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from engram_eval.datasets.dataset import Notes
from engram_eval.datasets.dialogues.record import ConversationRecord, QuestionRecord, parse_date
from engram_eval.errors import UserError
from engram_eval.system.files import read_lines
from engram_eval.system.validation import validate_json
from engram_eval.types import Conversation, ConversationInfo, Question, Sample, Session, Turn

UNCATEGORISED, UNANSWERABLE = "uncategorised", "unanswerable"
NOT_MENTIONED = "not mentioned in the conversation"
_FIX = "see the format in 'engram-eval datasets --help'"


def read_samples(path: Path, notes: Notes) -> Iterator[Sample]:
    """The conversations in the order of their lines. Raises UserError at the first fault."""
    for sample, fault in _read(path, notes):
        if fault:
            raise fault
        if sample:
            yield sample


def faults(path: Path) -> Iterator[UserError]:
    """The first fault of each faulty line."""
    return (fault for _, fault in _read(path, Notes()) if fault)


def records(path: Path) -> Iterator[ConversationRecord]:
    """The lines, each checked by itself. Raises UserError at the first fault."""
    for number, line in _lines(path):
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
    lines = read_lines(path, fix="name a file of dialogues, one JSON object a line, with --data")
    return ((number, line) for number, line in lines if line.strip())


def _record(line: bytes, where: str) -> ConversationRecord:
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
    ordered = _in_time_order(sessions)
    conversation_id = _clean(record.id)
    if ordered != sessions:
        notes.add("sessions out of time order: put in time order", conversation_id)
    for session in ordered:
        if session.started_at is None:
            notes.add("sessions without a date: kept, undated", f"{conversation_id} {session.id}")
    speakers = tuple(dict.fromkeys(turn.speaker for session in ordered for turn in session.turns))
    session_of = {turn.id: session.id for session in ordered for turn in session.turns}
    questions = []
    for number, question in enumerate(record.questions):
        questions.append(_question(question, number, conversation_id, session_of, f"{where}: 'questions[{number}]"))
    _refuse_repeated_ids([question.id for question in questions], f"{where}: 'questions[{{}}].id'")
    for made in questions:
        if made.unanswerable:
            notes.add("unanswerable questions: scored as abstention", made.id)
        if not made.evidence:
            notes.add("questions without evidence turns: kept, left out of turn-level retrieval metrics", made.id)
    return Sample(Conversation(ConversationInfo(conversation_id, speakers), ordered), tuple(questions))


def _sessions(record: ConversationRecord, where: str) -> tuple[Session, ...]:
    """In the order of the file."""
    sessions = []
    for number, session in enumerate(record.sessions, start=1):
        session_id = _clean(session.id or f"S{number}")
        turns = tuple(
            Turn(_clean(turn.id or f"{session_id}:{place}"), _clean(turn.speaker), _clean(turn.text))
            for place, turn in enumerate(session.turns, start=1)
        )
        sessions.append(Session(session_id, parse_date(session.date) if session.date else None, turns))
    _refuse_repeated_ids([session.id for session in sessions], f"{where}: 'sessions[{{}}].id'")
    places: dict[str, str] = {}
    for i, one in enumerate(sessions):
        for j, turn in enumerate(one.turns):
            if turn.id in places:
                raise UserError(
                    f"{where}: 'sessions[{i}].turns[{j}].id' is {turn.id!r}, the id of {places[turn.id]} too; "
                    "give each turn of a conversation its own id"
                )
            places[turn.id] = f"sessions[{i}].turns[{j}]"
    return tuple(sessions)


def _refuse_repeated_ids(ids: Sequence[str], where: str) -> None:
    for place, name in enumerate(ids):
        if name in ids[:place]:
            raise UserError(f"{where.format(place)} is {name!r}, which occurs before it; give each its own id")


def _in_time_order(sessions: tuple[Session, ...]) -> tuple[Session, ...]:
    """By date where there is one; an undated session stays behind the session before it."""
    latest, keyed = datetime.min, []
    for session in sessions:
        latest = session.started_at or latest
        keyed.append((latest, session))
    return tuple(session for _, session in sorted(keyed, key=lambda pair: pair[0]))


def _question(
    record: QuestionRecord, number: int, conversation_id: str, session_of: dict[str, str], where: str
) -> Question:
    unanswerable = bool(record.unanswerable)
    if record.answer is None and not unanswerable:
        raise UserError(f'{where}.answer\' is missing; give the gold answer, or "unanswerable": true')
    evidence = _known_ids(record.evidence or (), session_of, f"{where}.evidence", "turn")
    if record.evidence_sessions is None:
        sessions = tuple(dict.fromkeys(session_of[turn_id] for turn_id in evidence))
    else:
        sessions = _known_ids(record.evidence_sessions, session_of.values(), f"{where}.evidence_sessions", "session")
    return Question(
        id=_clean(record.id or f"{conversation_id}:q{number}"),
        conversation_id=conversation_id,
        text=_clean(record.question),
        gold=_clean(str(NOT_MENTIONED if record.answer is None else record.answer)),
        category=category_of(record),
        asked_at=parse_date(record.date) if record.date else None,
        evidence=evidence,
        evidence_sessions=sessions,
        unanswerable=unanswerable,
    )


def _known_ids(names: tuple[str, ...], known: Iterable[str], where: str, what: str) -> tuple[str, ...]:
    """The names without repetitions. Raises UserError for one that is not among the known."""
    clean = [_clean(name) for name in names]
    choices = list(dict.fromkeys(known))
    for place, name in enumerate(clean):
        if name not in choices:
            raise UserError(
                f"{where}[{place}]' is {name!r}, which is no {what} of the conversation; "
                f"use the {what}s' ids, such as {choices[0]!r}"
            )
    return tuple(dict.fromkeys(clean))


def category_of(record: QuestionRecord) -> str:
    return _clean(record.category or (UNANSWERABLE if record.unanswerable else UNCATEGORISED))


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
