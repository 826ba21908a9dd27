"""Records to what the page's question table reads: columns, every text once, compressed.

Two parts, so that the page opens fast: `table` has what the list of questions, its filters and its search need,
`details` what one question shows when it is opened.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engram_eval.compare.comparison import Comparison
from engram_eval.report.context_lines import ContextLines, ContextOf
from engram_eval.report.text import Pool
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record

CausesOf = Callable[[RunFolder], Mapping[tuple[str, str], str]]
"""Why the wrong answers of a run are wrong, by (backend, question id)."""

RIGHT, WRONG, ERROR, UNJUDGED, ABSENT = "rwen-"  # outcomes, as page.js reads them
_NOT_STORED, _NOT_FOUND, _NO_ROOM, _FOUND, _UNKNOWN = range(5)  # of an evidence turn, likewise


@dataclass(slots=True)
class Backend:
    """One backend of one run, under the name that the tables show. Cells are by the number of the question."""

    label: str
    run: str
    name: str
    control: bool
    sees_evidence: bool
    outcomes: dict[int, str] = field(default_factory=dict)
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)
    details: dict[int, dict[str, Any]] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    """Seconds, like all that follows over the answered questions of the headline categories."""
    tokens: list[float] = field(default_factory=list)
    wrong: int = 0
    causes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageData:
    backends: list[Backend]
    questions: int
    causes: list[str]
    table: str
    details: str
    """Both are JSON, gzip, base64: nothing that they say can end the element that holds them."""


def page_data(
    folders: Sequence[RunFolder],
    comparison: Comparison,
    *,
    causes: CausesOf | None = None,
    context: ContextOf | None = None,
) -> PageData:
    """Backends in the order of the comparison's rows, questions in that of the records."""
    backends = [
        Backend(row.name, row.run, row.label, row.summary.control, row.summary.sees_evidence) for row in comparison.rows
    ]
    by_name = {(backend.run, backend.name): backend for backend in backends}
    table, details, categories, reasons = Pool(), Pool(), Pool(), Pool()
    contexts = ContextLines(context)
    questions: dict[tuple[int, ...], int] = {}
    for summary in comparison.summaries.values():
        for category in summary.dataset.categories:
            categories.add(category)
    for folder in folders:
        run = str(folder.path)
        headline = comparison.summaries[run].dataset.headline
        why = causes(folder) if causes else {}
        for record in folder.records():
            backend = by_name.get((run, record.backend))
            if backend is None:  # of no backend that the manifest knows: the tables leave it out as well
                continue
            number = questions.setdefault(_question(record, table, categories), len(questions))
            outcome = outcome_of(record)
            cause = why.get(record.key) if outcome == WRONG else None
            backend.outcomes[number] = outcome
            backend.cells[number] = _cell(record, table, cause, reasons)
            kept = contexts.add(record, number, shows_evidence=backend.sees_evidence)
            backend.details[number] = {**_details(record, details), "context": kept}
            if record.category in headline:
                _count(record, backend, cause)
    count = len(questions)
    columns = zip(*questions, strict=True) if questions else [()] * 6
    named = dict(zip(("id", "conversation", "category", "text", "gold", "unanswerable"), columns, strict=True))
    marked = [contexts.marked(n, [b.details[n]["context"] for b in backends if n in b.details]) for n in range(count)]
    answers = [
        {"outcome": "".join(b.outcomes.get(n, ABSENT) for n in range(count)), **_columns(b.cells, count)}
        for b in backends
    ]
    labels = Pool()
    return PageData(
        backends,
        count,
        reasons.texts,
        _packed(
            {
                "backends": [labels.texts[labels.add(backend.label)] for backend in backends],
                "categories": categories.texts,
                "causes": reasons.texts,
                "questions": named,
                "answers": answers,
                "texts": table.texts,
                "pair": _pair(backends),
            }
        ),
        _packed(
            {
                "answers": [_columns(backend.details, count) for backend in backends],
                "texts": details.texts,
                "marked": marked,
                **contexts.columns(),
            }
        ),
    )


def outcome_of(record: Record) -> str:
    """An error is an error, and never wrong; nor is what no judge has seen."""
    if record.status == "error":
        return ERROR
    return UNJUDGED if record.correct is None else RIGHT if record.correct else WRONG


def _pair(backends: Sequence[Backend]) -> list[int]:
    """Whom to set side by side at first: one memory in two runs, else the first two memories."""
    of = [n for n, backend in enumerate(backends) if not backend.control]
    alike = ([a, b] for a in of for b in of if a < b and backends[a].name == backends[b].name)
    return next(alike, of[:2] if len(of) > 1 else [0, min(1, len(backends) - 1)])


def _question(record: Record, texts: Pool, categories: Pool) -> tuple[int, ...]:
    """Questions of two runs are one if they are alike in every respect, not by their ids alone."""
    return (
        texts.add(record.question_id),
        texts.add(record.conversation_id),
        categories.add(record.category),
        texts.add(record.question),
        texts.add(record.gold),
        int(record.unanswerable),
    )


def _cell(record: Record, texts: Pool, cause: str | None, reasons: Pool) -> dict[str, Any]:
    return {
        "answer": -1 if record.answer is None else texts.add(record.answer),
        "cause": reasons.add(cause) if cause else -1,
    }


def _details(record: Record, texts: Pool) -> dict[str, Any]:
    reason = record.judge.reason if record.judge else None
    explanation = record.error if record.status == "error" else reason
    return {
        "explanation": texts.add(explanation) if explanation else -1,
        "votes": [int(vote) for vote in record.votes] if len(record.votes) > 1 else [],
        "f1": _rounded(record.f1, 3),
        "tokens": record.context_tokens,
        "retrieval": _rounded(record.retrieval_s, 6),
        "answered": _rounded(record.answer_s, 6),
        "evidence": [texts.add(turn_id) for turn_id in record.evidence],
        "states": [_state(record, turn_id) for turn_id in record.evidence],
        "retrieved": [texts.add(turn_id) for turn_id in record.retrieved],
        "cut": int(record.cut),
    }


def _state(record: Record, turn_id: str) -> int:
    if record.evidence_recall is None:
        return _UNKNOWN
    if turn_id in record.evidence_found:
        return _FOUND
    if turn_id in record.evidence_truncated:
        return _NO_ROOM
    return _NOT_FOUND if turn_id in record.evidence_stored else _NOT_STORED


def _count(record: Record, backend: Backend, cause: str | None) -> None:
    if record.status == "error":
        return
    if record.latency_s is not None:
        backend.latencies.append(record.latency_s)
    if record.context_tokens is not None:
        backend.tokens.append(record.context_tokens)
    backend.wrong += record.correct is False
    if cause:
        backend.causes[cause] = backend.causes.get(cause, 0) + 1


def _columns(cells: Mapping[int, Mapping[str, Any]], count: int) -> dict[str, list[Any]]:
    names = next(iter(cells.values()), {})
    return {name: [cells[n][name] if n in cells else None for n in range(count)] for name in names}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _packed(value: Any) -> str:
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    return base64.b64encode(gzip.compress(plain, 6, mtime=0)).decode("ascii")
