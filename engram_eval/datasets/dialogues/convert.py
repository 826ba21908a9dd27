"""Writes any dataset in the dialogues format: it reads back as the same conversations and questions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError
from engram_eval.system.files import write_file
from engram_eval.types import Question, Sample


def write_dialogues(samples: Iterable[Sample], path: Path, *, source: Path | None = None) -> int:
    """Writes a line a conversation, and returns how many. Raises UserError, and then leaves `path` as it was.

    `source` is the file that the samples are read from: `path` must be another.
    """
    if source and path.exists() and path.samefile(source):
        raise UserError(f"{path}: is the file that is read; name another with --out")
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for sample in samples:
            yield json.dumps(to_record(sample), ensure_ascii=False).encode() + b"\n"
            count += 1

    write_file(path, lines(), fix="name another file with --out")
    return count


def to_record(sample: Sample) -> dict[str, Any]:
    """One line of the format. Keys that are at their default are left out, except ids."""
    session_of = {turn.id: session.id for session in sample.conversation.sessions for turn in session.turns}
    return {
        "id": sample.conversation.id,
        "sessions": [
            {
                "id": session.id,
                **({"date": _date(session.started_at)} if session.started_at else {}),
                "turns": [{"id": turn.id, "speaker": turn.speaker, "text": turn.text} for turn in session.turns],
            }
            for session in sample.conversation.sessions
        ],
        "questions": [_question(question, session_of) for question in sample.questions],
    }


def _question(question: Question, session_of: dict[str, str]) -> dict[str, Any]:
    derived = tuple(dict.fromkeys(session_of[turn_id] for turn_id in question.evidence))
    return {
        "id": question.id,
        "question": question.text,
        "answer": question.gold,
        "category": question.category,
        **({"evidence": list(question.evidence)} if question.evidence else {}),
        **({"evidence_sessions": list(question.evidence_sessions)} if question.evidence_sessions != derived else {}),
        **({"date": _date(question.asked_at)} if question.asked_at else {}),
        **({"unanswerable": True} if question.unanswerable else {}),
    }


def _date(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds" if moment.second else "minutes")
