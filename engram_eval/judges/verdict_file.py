"""A file of recorded verdicts: read it, and write another judge's beside it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_eval.datasets import catalogue
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.errors import UserError
from engram_eval.system.json_input import Node, parse_line
from engram_eval.types import Question, Verdict

_FORM = "what 'engram-eval agree --help' says of a line"
_INDEX = re.compile(r":q\d+$")  # of a question in its conversation, as "conv-26:q0"
_DEFAULT_BENCHMARK = "locomo"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer and the verdict that is on record for it. `system`: who answered; empty if that is not told."""

    question: Question
    answer: str
    correct: bool
    system: str
    benchmark: Benchmark


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
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; name a file of recorded verdicts") from None
    except IsADirectoryError:
        raise UserError(f"{path}: this is a folder; name the file of verdicts in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); check the name and its permissions") from None
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
        benchmark=_benchmark(line),
    )


def _benchmark(line: Node) -> Benchmark:
    """The benchmark whose rules grade the answer. Raises UserError if the line names one that does not exist."""
    try:
        return catalogue.benchmark_like(_optional(line, "benchmark") or _DEFAULT_BENCHMARK)
    except UserError as error:
        raise line.get("benchmark").fault(str(error).partition(";")[0]) from None


def _optional(line: Node, name: str) -> str:
    return line.get(name).scalar() if line.has(name) else ""


def _boolean(node: Node) -> bool:
    if not isinstance(node.value, bool):
        raise node.fault(f"expected true or false, found {json.dumps(node.value)[:40]}")
    return node.value


def require_writable(path: Path, *, besides: Path) -> None:
    """Raises UserError if --out cannot be written there: told before anything is asked. Leaves no trace."""
    partial = _partial(path)
    try:
        if path.exists() and path.samefile(besides):
            raise UserError(f"{path}: is the file that is read; name another with --out")
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: is no ordinary file; name another with --out")
        partial.open("wb").close()
        partial.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def write_verdicts(path: Path, answers: Sequence[Graded]) -> None:
    """One line an answer, in order. The file is whole, or as it was before. Raises UserError."""
    lines = (json.dumps(answer.to_json(), ensure_ascii=False) + "\n" for answer in answers)
    partial = _partial(path)
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({error.strerror}); name another file with --out")
