"""Files of verdicts: reads recorded verdicts, and writes another judge's verdicts on the same answers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_eval.datasets import catalogue
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.errors import UserError
from engram_eval.system.file_format import HEAD, refuse_other_formats
from engram_eval.system.files import check_writable, read_bytes, write_file, writing
from engram_eval.system.validation import validate_json
from engram_eval.types import Question, Verdict

_FIX = "see 'engram-eval agree --help' for the format of a line"
_OTHER_FILE = "name another file with --out"
_INDEX = re.compile(r":q\d+$")  # of a question in its conversation, as in "conv-26:q0"
_DEFAULT_BENCHMARK = "locomo"
_HALF_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """A line of a file of recorded verdicts, as it is on disk. Other keys are ignored."""

    question_id: str | int | float
    question: str
    gold: str | int | float
    answer: str
    correct: bool
    conversation_id: str | int | float | None = None
    """By default, the question id without its index (`:q0`)."""
    category: str | int | float | None = None
    system: str | int | float | None = None
    """The system that gave the answer."""
    benchmark: str | int | float | None = None
    """The benchmark whose rules the judge uses; LoCoMo by default."""
    unanswerable: bool | None = None


@dataclass(frozen=True, slots=True)
class RecordedVerdict:
    """An answer and its recorded verdict. `system` is empty if the file does not name it."""

    question: Question
    answer: str
    correct: bool
    system: str
    benchmark: Benchmark


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """The same answer graded by another judge: its verdict, or the error of the failed call."""

    recorded: RecordedVerdict
    verdict: Verdict | None
    error: str | None

    def to_json(self) -> dict[str, Any]:
        """A line of --out. `correct` and `reason` are null after an error."""
        return {
            "question_id": self.recorded.question.id,
            "system": self.recorded.system,
            "answer": self.recorded.answer,
            "correct": self.verdict.correct if self.verdict else None,
            "reason": self.verdict.reason if self.verdict else None,
            "error": self.error,
        }


def read_verdicts(path: Path) -> tuple[list[RecordedVerdict], str]:
    """The recorded verdicts in file order, without blank lines, and the file's sha256.

    Raises UserError with the file and the line if the file cannot be read or a line is not valid.
    """
    content = read_bytes(path, fix="name a file of recorded verdicts")
    if content:
        refuse_other_formats(f"{path}: line 1", content[:HEAD])
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    benchmarks: dict[str, Benchmark] = {}  # a look-up reads the metadata of every installed package
    recorded = [_read_line(line, f"{path}: line {number}", benchmarks) for number, line in lines if line.strip()]
    if not recorded:
        raise UserError(f"{path}: line 1: no verdict; write one JSON object per line")
    return recorded, hashlib.sha256(content).hexdigest()


def _read_line(content: bytes, where: str, benchmarks: dict[str, Benchmark]) -> RecordedVerdict:
    """`benchmarks`: those that earlier lines named, by name; this line's is added."""
    line = validate_json(VerdictLine, _without_half_surrogates(content), where=where, fix=_FIX)
    name = _text(line.benchmark)
    if name not in benchmarks:
        benchmarks[name] = _benchmark(name, where)
    question_id = str(line.question_id)
    return RecordedVerdict(
        Question(
            id=question_id,
            conversation_id=_INDEX.sub("", question_id) if line.conversation_id is None else str(line.conversation_id),
            text=line.question,
            gold=str(line.gold),
            category=_text(line.category),
            asked_at=None,
            evidence=(),
            evidence_sessions=(),
            unanswerable=bool(line.unanswerable),
        ),
        answer=line.answer,
        correct=line.correct,
        system=_text(line.system),
        benchmark=benchmarks[name],
    )


def _text(value: str | float | None) -> str:
    return "" if value is None else str(value)


def _benchmark(name: str, where: str) -> Benchmark:
    """Raises UserError if the line names a benchmark that does not exist."""
    try:
        return catalogue.benchmark_like(name or _DEFAULT_BENCHMARK)
    except UserError as error:
        raise UserError(f"{where}: 'benchmark': {str(error).partition(';')[0]}; {_FIX}") from None


def _without_half_surrogates(line: bytes) -> bytes:
    """JSON can spell half of a surrogate pair, which UTF-8 cannot encode: it becomes a question mark."""
    if not _HALF_SURROGATE.search(line):
        return line
    try:
        return json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return line


def require_writable(path: Path, *, besides: Path) -> None:
    """Raises UserError if --out cannot be written, before the work begins. `besides` is the file that is read."""
    with writing(path, fix=_OTHER_FILE):
        if path.exists() and path.samefile(besides):
            raise UserError(f"{path}: is the file that is read; {_OTHER_FILE}")
        check_writable(path, fix=_OTHER_FILE)


def write_verdicts(path: Path, answers: Sequence[GradedAnswer]) -> None:
    """One line per answer, in order. The file is written whole or not at all. Raises UserError."""
    lines = (json.dumps(answer.to_json(), ensure_ascii=False) + "\n" for answer in answers)
    write_file(path, (line.encode("utf-8", "backslashreplace") for line in lines), fix=_OTHER_FILE)
