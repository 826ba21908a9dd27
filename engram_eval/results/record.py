"""A record: all that happened for one question with one backend."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from engram_eval.types import Question


@dataclass(frozen=True, slots=True)
class Record:
    """All that happened for one question with one backend. Times in seconds; None where it did not come to that.

    `retrieved`: ids of the turns that stand in the context, best first. `evidence_recall` and `evidence_all`: the share
    of the evidence turns in the context, and whether all are; None without evidence. `ingest_s`: what ingesting the
    question's whole conversation took, the same on all its records; so `ingest_cost_usd`, and `ingest_warnings` (things
    that the memory could not do then, and made up for). `cost_usd`: of recall and answer, cached or not. `truncated`:
    the memory left something out for want of room; `cut`: it sent more than its budget, and the end was cut off.
    `evidence_found`, `evidence_truncated`, `evidence_stored`: the evidence turns that stand in the context, that were
    ranked next (as many again) and had no room, that the memory holds at all. `context`, `evidence_text`: the keys of
    the context and of the evidence turns' words (parted by U+001E) in `contexts.sqlite`. `retrieved_sessions`: the distinct
    sessions of `retrieved`, each where its best turn ranks; `evidence_sessions`: the question's, by its labels. Both are
    None in records of before they were kept, the first also where there is no ranking to be known of.
    """

    backend: str
    conversation_id: str
    question_id: str
    category: str
    unanswerable: bool
    question: str
    gold: str
    answer: str | None
    status: Literal["ok", "error"]
    error: str | None
    correct: bool | None
    judge: dict[str, Any] | None
    f1: float | None
    context_tokens: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    retrieval_s: float | None
    answer_s: float | None
    judge_s: float | None
    ingest_s: float | None
    ingest_cost_usd: float | None
    ingest_warnings: int | None
    cached: bool
    retrieved: list[str]
    evidence: list[str]
    evidence_recall: float | None
    evidence_all: bool | None
    evidence_found: list[str]
    evidence_truncated: list[str]
    evidence_stored: list[str]
    answer_in_context: bool | None
    context: str | None
    evidence_text: str | None
    truncated: bool
    cut: bool
    retrieved_sessions: list[str] | None = None
    evidence_sessions: list[str] | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.backend, self.question_id


def record_of(
    label: str, question: Question, *, error: BaseException | None = None, step: str = "", **values: Any
) -> Record:
    """A record of `values`, with None for what is not among them; `error` makes it one of a failed `step`."""
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "answer", "correct", "judge", "f1", "context_tokens", "prompt_tokens", "completion_tokens", "cost_usd",
            "retrieval_s", "answer_s", "judge_s", "ingest_s", "ingest_cost_usd", "ingest_warnings", "evidence_recall",
            "evidence_all", "answer_in_context", "context", "evidence_text",
        )
    )  # fmt: skip
    fixed = {
        "backend": label,
        "conversation_id": question.conversation_id,
        "question_id": question.id,
        "category": question.category,
        "unanswerable": question.unanswerable,
        "question": question.text,
        "gold": question.gold,
        "status": "error" if error else "ok",
        "error": f"{step}: {type(error).__name__}: {error}" if error else None,
        "evidence": list(question.evidence),
        "evidence_sessions": list(question.evidence_sessions),
    }
    lists: dict[str, Any] = {
        name: [] for name in ("retrieved", "evidence_found", "evidence_truncated", "evidence_stored")
    }
    return Record(**{"cached": False, "truncated": False, "cut": False, **lists, **nothing, **fixed, **values})


def _types(hint: Any) -> tuple[type, ...]:
    """The types that a field's annotation admits; a whole number passes for a float."""
    if get_origin(hint) is UnionType:
        return tuple(kind for part in get_args(hint) for kind in _types(part))
    plain = get_origin(hint) or hint
    return (str,) if plain is Literal else (int, float) if plain is float else (plain,)


_FIELDS = {name: _types(hint) for name, hint in get_type_hints(Record).items()}
_REQUIRED = frozenset(field.name for field in fields(Record) if field.default is MISSING)
