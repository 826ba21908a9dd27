"""A file of recorded verdicts: read it, and write another judge's beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_eval.datasets.dataset import Family
from engram_eval.errors import UserError
from engram_eval.system.files import check_writable, read_bytes, write_file, writing
from engram_eval.system.json_input import Node, parse_line
from engram_eval.types import Question, Verdict

_FORM = "what 'engram-eval agree --help' says of a line"
_OTHER_FILE = "name another file with --out"
_INDEX = re.compile(r":q\d+$")  # of a LoCoMo question in its conversation


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer and the verdict that is on record for it. `system`: who answered; empty if that is not told."""

    question: Question
    answer: str
    correct: bool
    system: str
    family: Family


@dataclass(frozen=True, slots=True)
class Graded:
    """The same answer as another judge saw it: a verdict, or the error in which the call ended."""

    recorded: Recorded
    verdict: Verdict | None
    error: str | None

    def to_json(self) -> dict[str, Any]:
        """A line of --out. `correct` and `reason` are null for an error."""
        return {
            "question_id": self.recorded.question.id,
            "correct": self.verdict.correct if self.verdict else None,
            "reason": self.verdict.reason if self.verdict else None,
            "error": self.error,
        }


def read_verdicts(path: Path) -> tuple[list[Recorded], str]:
    """The answers in the order of their lines, blank lines passed over, and the file's sha256.

    Raises UserError with file and line for whatever is not as it should be.
    """
    content = read_bytes(path, fix="name a file of recorded verdicts")
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    recorded = [_recorded(parse_line(line, path, number, _FORM)) for number, line in lines if line.strip()]
    if not recorded:
        raise UserError(f"{path}: line 1: holds no verdict; give it one JSON object a line")
    return recorded, hashlib.sha256(content).hexdigest()


def _recorded(line: Node) -> Recorded:
    question_id = line.get("question_id").scalar()
    return Recorded(
        Question(
            id=question_id,
            conversation_id=line.get("conversation_id").scalar()
            if line.has("conversation_id")
            else _INDEX.sub("", question_id),
            text=line.get("question").text(),
            gold=line.get("gold").scalar(),
            category=_optional(line, "category"),
            asked_at=None,
            evidence=(),
            evidence_sessions=(),
            unanswerable=line.has("unanswerable") and _boolean(line.get("unanswerable")),
        ),
        answer=line.get("answer").text(),
        correct=_boolean(line.get("correct")),
        system=_optional(line, "system"),
        family="longmemeval" if "longmemeval" in _optional(line, "benchmark").lower() else "locomo",
    )


def _optional(line: Node, name: str) -> str:
    return line.get(name).scalar() if line.has(name) else ""


def _boolean(node: Node) -> bool:
    if not isinstance(node.value, bool):
        raise node.fault(f"expected true or false, found {json.dumps(node.value)[:40]}")
    return node.value


def require_writable(path: Path, *, besides: Path) -> None:
    """Raises UserError if --out cannot be written there: told before anything is asked. Leaves no trace."""
    with writing(path, fix=_OTHER_FILE):
        if path.exists() and path.samefile(besides):
            raise UserError(f"{path}: is the file that is read; {_OTHER_FILE}")
        check_writable(path, fix=_OTHER_FILE)


def write_verdicts(path: Path, answers: Sequence[Graded]) -> None:
    """One line an answer, in order. The file is whole, or as it was before. Raises UserError."""
    lines = (json.dumps(answer.to_json(), ensure_ascii=False) + "\n" for answer in answers)
    write_file(path, (line.encode("utf-8", "backslashreplace") for line in lines), fix=_OTHER_FILE)
