"""Records to what the page's question table reads: columns, every text once, compressed.

Two parts, so that the page opens fast: `table` has what the list of questions, its filters and its search need;
`details` what one question shows when it is opened.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engram_eval.compare import Comparison
from engram_eval.report.text import cut, visible
from engram_eval.results import Record, RunFolder
from engram_eval.text import content_stems

CausesOf = Callable[[RunFolder], Mapping[tuple[str, str], str]]
"""Why answers of a run are wrong, by (backend, question id)."""
ContextOf = Callable[[Record], str | None]
"""The context of a record as it was sent."""

RIGHT, WRONG, ERROR, UNJUDGED, ABSENT = "rwen-"
_NOT_STORED, _NOT_RECALLED, _NO_ROOM, _FOUND, _UNKNOWN = range(5)  # an evidence turn; page.js has their words

_CONTEXT_LINES = 12_000_000  # characters of different context lines that the page keeps: some 4 MB of its file
_EVIDENCE_SHARE = 0.8  # of a turn's content words must stand in a line for the line to be marked (DESIGN, section 5)


@dataclass(slots=True)
class Backend:
    """One backend of one run, under the name that the tables show; lists run along the page's questions."""

    label: str
    run: str
    name: str
    outcome: dict[int, str] = field(default_factory=dict)
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)
    more: dict[int, dict[str, Any]] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    causes: dict[str, int] = field(default_factory=dict)
    """Of the headline's wrong answers."""


@dataclass(frozen=True, slots=True)
class PageData:
    backends: list[Backend]
    questions: int
    table: str
    details: str
    """Both gzip in base64: nothing in them can end the element that holds them."""


class _Pool:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def add(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> list[str]:
        return list(self._numbers)


def page_data(
    folders: Sequence[RunFolder],
    comparison: Comparison,
    *,
    causes: CausesOf | None = None,
    context: ContextOf | None = None,
) -> PageData:
    backends = [Backend(row["backend"], row["run"], name) for row, name in zip(comparison.rows, _names(comparison))]
    found = {(backend.run, backend.name): backend for backend in backends}
    table, details, lines = _Pool(), _Pool(), _Lines(context)
    questions: dict[tuple[Any, ...], int] = {}
    categories = _Pool()
    for summary in comparison.summaries.values():
        for category in summary["dataset"]["categories"]:
            categories.add(visible(category))
    reasons = _Pool()
    for folder in folders:
        headline = comparison.summaries[str(folder.path)]["dataset"]["headline"]
        why = causes(folder) if causes else {}
        for record in folder.records():
            backend = found.get((str(folder.path), record.backend))
            if backend is None:
                continue
            key = _question(record, table, categories)
            at = questions.setdefault(key, len(questions))
            outcome = outcome_of(record)
            cause = why.get(record.key) if outcome == WRONG else None
            backend.outcome[at] = outcome
            backend.cells[at] = _cell(record, table, reasons.add(visible(cause)) if cause else -1)
            backend.more[at] = {**_more(record, details), "context": lines.add(record)}
            if record.category in headline:
                _count(record, backend, visible(cause) if cause else None)
    columns = zip(*questions) if questions else [[]] * 6
    names = ("id", "conversation", "category", "text", "gold", "unanswerable")
    n = len(questions)
    return PageData(
        backends,
        n,
        _packed(
            {
                "backends": [visible(backend.label) for backend in backends],
                "categories": categories.texts,
                "causes": reasons.texts,
                "questions": {name: list(column) for name, column in zip(names, columns)},
                "answers": [
                    {"outcome": "".join(b.outcome.get(i, ABSENT) for i in range(n)), **_columns(b.cells, n)}
                    for b in backends
                ],
                "texts": table.texts,
            }
        ),
        _packed(
            {
                "answers": [_columns(backend.more, n) for backend in backends],
                "texts": details.texts,
                **lines.columns([backend.more for backend in backends]),
            }
        ),
    )


def outcome_of(record: Record) -> str:
    if record.status == "error":
        return ERROR
    return UNJUDGED if record.correct is None else RIGHT if record.correct else WRONG


def _names(comparison: Comparison) -> list[str]:
    """The backends' own names, in the order of the comparison's rows."""
    return [name for summary in comparison.summaries.values() for name in summary["backends"]]


def _question(record: Record, texts: _Pool, categories: _Pool) -> tuple[Any, ...]:
    """Questions of two runs are one if they are the same in every respect, whatever their ids."""
    return (
        texts.add(cut(visible(record.question_id))),
        texts.add(cut(visible(record.conversation_id))),
        categories.add(visible(record.category)),
        texts.add(cut(visible(record.question))),
        texts.add(cut(visible(record.gold))),
        int(record.unanswerable),
    )


def _cell(record: Record, texts: _Pool, cause: int) -> dict[str, Any]:
    return {
        "answer": -1 if record.answer is None else texts.add(cut(visible(record.answer))),
        "f1": _number(record.f1, 3),
        "tokens": record.context_tokens,
        "cause": cause,
    }


def _more(record: Record, texts: _Pool) -> dict[str, Any]:
    judge = record.judge or {}
    said = record.error if record.status == "error" else judge.get("reason")
    votes = judge.get("votes")
    split = isinstance(votes, list) and len(set(map(str, votes))) > 1
    return {
        "said": texts.add(cut(visible(str(said)))) if said else -1,
        "votes": f"{sum(map(bool, votes))} of {len(votes)}" if votes and split else 0,
        "ms": [_number(1000 * value if value is not None else None, 2) for value in (record.recall_s, record.answer_s)],
        "evidence": [texts.add(cut(visible(turn_id))) for turn_id in record.evidence],
        "states": "".join(str(_state(record, turn_id)) for turn_id in record.evidence),
        "retrieved": [texts.add(cut(visible(turn_id))) for turn_id in record.retrieved],
    }


def _state(record: Record, turn_id: str) -> int:
    if record.evidence_recall is None:
        return _UNKNOWN
    if turn_id in record.evidence_found:
        return _FOUND
    if turn_id in record.evidence_left_out:
        return _NO_ROOM
    return _NOT_RECALLED if turn_id in record.evidence_stored else _NOT_STORED


def _count(record: Record, backend: Backend, cause: str | None) -> None:
    if record.status == "error":
        return
    if record.recall_s is not None and record.answer_s is not None:
        backend.latencies.append(record.recall_s + record.answer_s)
    if record.context_tokens is not None:
        backend.tokens.append(record.context_tokens)
    if cause:
        backend.causes[cause] = backend.causes.get(cause, 0) + 1


class _Lines:
    """Contexts as lists of their lines, each different line once: a memory recalls the same turns again and again."""

    def __init__(self, context: ContextOf | None) -> None:
        self._context = context
        self._lines, self._size, self._left_out = _Pool(), 0, 0
        self._contexts: dict[str, list[int]] = {}
        self._numbers: dict[str, int] = {}

    def add(self, record: Record) -> int:
        """The number of the record's context; -1 for none, -2 for one that there was no room for."""
        text = self._context(record) if self._context else None
        if text is None:
            return -1
        text = visible(text)
        if text not in self._numbers:
            if self._size > _CONTEXT_LINES:
                self._left_out += 1
                return -2
            before = len(self._lines.texts) if len(text) > _CONTEXT_LINES else 0
            del before
            self._numbers[text] = len(self._numbers)
        return self._numbers[text]

    def columns(self, _of: object) -> dict[str, Any]:
        return {}


def _columns(cells: Mapping[int, Mapping[str, Any]], n: int) -> dict[str, list[Any]]:
    names = next(iter(cells.values()), {})
    return {name: [cells[i][name] if i in cells else 0 for i in range(n)] for name in names}


def _number(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _packed(value: Any) -> str:
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    return base64.b64encode(gzip.compress(plain, 6, mtime=0)).decode("ascii")
