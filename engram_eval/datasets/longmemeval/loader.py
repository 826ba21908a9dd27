"""Reads LongMemEval (Wu et al., ICLR 2025; xiaowu0162/longmemeval-cleaned): one question per history of chats with an
assistant.

Its oddities, and the rule for each:

- The labels leak: evidence sessions' ids begin with `answer_`, evidence turns carry `has_answer`, unanswerable
  questions' ids end in `_abs`. Sessions and turns are named by their position in time (`S12`, `S12:3`) and the
  conversation by a hash, so that no label reaches a memory.
- In the oracle file sessions are not in time order: they are sorted (same minute: file order).
- Some gold answers are numbers: read as text.
- In edited files `has_answer` may be text or a number: "true" and 1 are read as true.
- Some session ids occur twice in a history: the sessions are kept apart; if the id is one of the evidence, both are evidence.
- Sessions later than the question's date are kept.
- Some evidence sessions have no turn marked `has_answer`: the question then has no evidence turns, and is left out of
  turn-level retrieval metrics.
- The files are large (S: 280 MB, M: 2.7 GB): one history is in memory at a time.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from engram_eval.datasets.dataset import Notes, note_evidence_after, note_unread_keys
from engram_eval.errors import UserError
from engram_eval.system.json_input import Node, stream_array
from engram_eval.types import Conversation, ConversationInfo, Question, Sample, Session, Turn

CATEGORIES = (
    "single-session-user",
    "single-session-assistant",
    "single-session-preference",
    "multi-session",
    "knowledge-update",
    "temporal-reasoning",
)
_KEYS = {
    "question_id", "question_type", "question", "answer", "question_date", "haystack_dates", "haystack_session_ids",
    "haystack_sessions", "answer_session_ids",
}  # fmt: skip
_TURN_KEYS = {"role", "content", "has_answer"}
_OFFICIAL_QUESTIONS = 500
_FORM = "the official longmemeval_s_cleaned.json"
_DATE = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?:\s*\(\w+\))?(?:\s+(\d{1,2}):(\d{2}))?")


def read_samples(path: Path, notes: Notes) -> Iterator[Sample]:
    ids: set[str] = set()
    for node in stream_array(path, _FORM):
        record = node.as_record("question_id")
        try:
            sample = sample_from_record(record, notes)
            question_id = sample.questions[0].id
            if question_id in ids:
                raise record.fault(f"question_id {question_id!r} occurs twice")
        except UserError as fault:
            notes.bad_record(fault)
        else:
            ids.add(question_id)
            yield sample
    if not ids and not notes.faults:
        raise UserError(f"{path}: the list is empty; compare it with {_FORM}")


def sample_from_record(record: Node, notes: Notes) -> Sample:
    """One question and its history in the official format."""
    question_id = record.get("question_id").text()
    sessions, evidence, official_ids = _history(record, question_id, notes)
    evidence_sessions = _evidence_sessions(record, question_id, official_ids, notes)
    unanswerable = question_id.endswith("_abs")
    for key in ("question", "answer"):
        if not record.get(key).scalar().strip() and not (key == "answer" and unanswerable):
            raise record.fault(f"{key!r} is empty")
    note_unread_keys(record.value, _KEYS, notes, "a record", question_id)
    conversation_id = "h" + hashlib.blake2b(question_id.encode(), digest_size=6).hexdigest()
    speakers = tuple(dict.fromkeys(turn.speaker for session in sessions for turn in session.turns))
    question = Question(
        id=question_id,
        conversation_id=conversation_id,
        text=record.get("question").text(),
        gold=record.get("answer").scalar(),
        category=_category(record),
        asked_at=_datetime(record.get("question_date")),
        evidence=evidence,
        evidence_sessions=evidence_sessions,
        unanswerable=unanswerable,
    )
    note_evidence_after(question, sessions, notes)
    if not evidence:
        notes.add("questions without evidence turns: kept, left out of turn-level retrieval metrics", question_id)
    if not isinstance(record.get("answer").value, str):
        notes.add("gold answers that are numbers: read as text", question_id)
    if question.unanswerable:
        notes.add("ids that end in _abs: unanswerable, scored as abstention", question_id)
    return Sample(Conversation(ConversationInfo(conversation_id, speakers), sessions), (question,))


def _category(record: Node) -> str:
    category = record.get("question_type").text()
    if category not in CATEGORIES:
        raise record.fault(f"question_type {category[:40]!r} is not one of {', '.join(CATEGORIES)}")
    return category


def _history(
    record: Node, question_id: str, notes: Notes
) -> tuple[tuple[Session, ...], tuple[str, ...], dict[str, str]]:
    """The sessions in time order, the ids of the turns marked as evidence, and the sessions' official ids by ours."""
    official_ids = [node.scalar() for node in record.get("haystack_session_ids").items()]
    dates = [_datetime(node) for node in record.get("haystack_dates").items()]
    histories = record.get("haystack_sessions").items()
    if not len(official_ids) == len(dates) == len(histories):
        counts = f"{len(official_ids)}, {len(dates)} and {len(histories)}"
        raise record.fault(f"haystack_session_ids, haystack_dates and haystack_sessions differ in length ({counts})")
    if not histories:
        raise record.fault("haystack_sessions is empty")
    for official, count in Counter(official_ids).items():
        if count > 1:
            notes.doubt("session ids that occur more than once in a history: kept apart", f"{question_id} {official}")
    order = sorted(range(len(dates)), key=dates.__getitem__)
    if order != list(range(len(dates))):
        notes.add("sessions out of time order: put in time order", question_id)
    sessions, evidence, official_id = [], list[str](), {}
    for place, index in enumerate(order, start=1):
        turns = []
        for number, node in enumerate(histories[index].items(), start=1):
            turn = Turn(f"S{place}:{number}", node.get("role").text(), node.get("content").text())
            turns.append(turn)
            where = f"{question_id} {official_ids[index]} turn {number}"
            if not turn.text.strip():
                notes.doubt("turns without text: kept", where)
            if _has_answer(node, notes, where):
                evidence.append(turn.id)
            note_unread_keys(node.value, _TURN_KEYS, notes, "a turn", where)
        if turns:
            sessions.append(Session(f"S{place}", dates[index], tuple(turns)))
            official_id[f"S{place}"] = official_ids[index]
        else:
            notes.add("sessions without turns: left out", f"{question_id} {official_ids[index]}")
    if not sessions:
        raise record.fault("haystack_sessions holds no turn")
    return tuple(sessions), tuple(evidence), official_id


_TRUTHS = {
    True: True,
    False: False,
    "true": True,
    "false": False,
    "yes": True,
    "no": False,
    "1": True,
    "0": False,
    "": False,
}


def _has_answer(node: Node, notes: Notes, where: str) -> bool:
    """Whether the turn is marked as evidence. 1 and 0 equal true and false."""
    if not node.has("has_answer"):
        return False
    value = node.get("has_answer").value
    plain = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(plain, str | bool | int | float) or plain not in _TRUTHS:
        raise node.fault(f"has_answer is {str(value)[:40]!r}, not true or false")
    if not isinstance(value, bool):
        notes.add("has_answer that is text or a number: read as true or false", where)
    return _TRUTHS[plain]


def _evidence_sessions(
    record: Node, question_id: str, official_ids: Mapping[str, str], notes: Notes
) -> tuple[str, ...]:
    """Our ids of the sessions that the record names as evidence."""
    labelled = {node.scalar() for node in record.get("answer_session_ids").items()}
    in_history = {node.scalar() for node in record.get("haystack_session_ids").items()}
    if unknown := sorted(labelled - in_history):
        notes.doubt("evidence sessions that are not in the history: dropped", f"{question_id}: {', '.join(unknown)}")
    return tuple(session_id for session_id, official_id in official_ids.items() if official_id in labelled)


def _datetime(node: Node) -> datetime:
    text = node.text().strip()
    match = _DATE.fullmatch(text)
    try:
        if match:
            year, month, day, hour, minute = (int(part or 0) for part in match.groups())
            return datetime(year, month, day, hour, minute)
    except ValueError:
        pass  # a 31st of February: reported below
    raise node.fault(f"{text[:40]!r} is not a date like '2023/05/20 (Sat) 02:21'")


def differences(path: Path, official_name: str, counts: Mapping[str, int]) -> list[str]:
    total = sum(counts.values())
    if path.name != official_name or total == _OFFICIAL_QUESTIONS:
        return []
    return [f"{total} questions, {_OFFICIAL_QUESTIONS} in the official file"]
