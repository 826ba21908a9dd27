"""A record: everything that happened for one question with one backend, and what it means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from engram_eval.results.stored import FORMAT, Stored, Text, check_format
from engram_eval.types import Question


class JudgeDecision(Stored):
    """A judge's verdict as it is kept. `cost_usd`: US dollars, None if the price is unknown."""

    name: Text
    votes: tuple[bool, ...] = ()
    reason: Text = ""
    cost_usd: float | None = 0.0


class RecordKey(Stored):
    """The first fields of a record, which identify it. Reading them alone takes a tenth of the time."""

    format: Annotated[int, AfterValidator(check_format)]
    backend: Text
    conversation_id: Text
    question_id: Text

    @property
    def key(self) -> tuple[str, str]:
        return self.backend, self.question_id


class Record(RecordKey):
    """One line of `records.jsonl`. Times are in seconds, money in US dollars; None means unknown or not reached.

    - `cost_usd`: retrieval and answer, as if nothing had been cached. `judge.cost_usd` is separate.
    - `first_token_s`: seconds until the answer's first token, where the server tells. `server_cached_tokens`: of the prompt,
      what the server had in its own cache, which makes an answer faster. `reasoning_removed`: the reply held reasoning, which
      is no part of `answer`.
    - `contended`: while the memory retrieved, other work of the run went on in the process.
    - `ingest_s`, `ingest_cost_usd`, `ingest_warnings` (a count): of the question's whole conversation, so all records of one
      conversation and backend repeat them.
    - `retrieved`: ids of the turns in the context, best first. `ranked`: whether that order is a ranking by the memory, so
      that rank-based measures apply.
    - `evidence`: ids of the turns that hold the answer. `evidence_found` are in the context; `evidence_truncated` were ranked
      but cut by the budget (within twice the budget's turns); `evidence_stored` are held by the memory at all.
    - `evidence_claimed`: of a memory that paraphrases, the share of the evidence that it names, whatever its text holds.
    - `evidence_recall`, `evidence_all`: the share of the evidence in the context, and whether all of it is there; None without
      evidence.
    - `retrieved_sessions`: distinct sessions of `retrieved`, each at the rank of its best turn; None without a ranking.
    - `context`, `evidence_text`: keys of these texts in `contexts.sqlite` (evidence turns are separated by U+001E).
    - `truncated`: the memory left something out to fit. `cut`: it sent more than its budget and the harness cut the end.
    """

    category: Text
    unanswerable: bool
    question: Text
    gold: Text
    answer: Text | None = None
    status: Literal["ok", "error"] = "ok"
    error: Text | None = None
    correct: bool | None = None
    judge: JudgeDecision | None = None
    f1: float | None = None
    context_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    retrieval_s: float | None = None
    answer_s: float | None = None
    judge_s: float | None = None
    ingest_s: float | None = None
    ingest_cost_usd: float | None = None
    ingest_warnings: int | None = None
    cached: bool = False
    first_token_s: float | None = None
    server_cached_tokens: int = 0
    reasoning_removed: bool = False
    contended: bool = False
    retrieved: tuple[Text, ...] = ()
    ranked: bool = False
    evidence: tuple[Text, ...] = ()
    evidence_claimed: float | None = None
    evidence_recall: float | None = None
    evidence_all: bool | None = None
    evidence_found: tuple[Text, ...] = ()
    evidence_truncated: tuple[Text, ...] = ()
    evidence_stored: tuple[Text, ...] = ()
    retrieved_sessions: tuple[Text, ...] | None = None
    evidence_sessions: tuple[Text, ...] | None = None
    answer_in_context: bool | None = None
    context: str | None = None
    evidence_text: str | None = None
    truncated: bool = False
    cut: bool = False

    @classmethod
    def of(cls, backend: str, question: Question, **values: Any) -> Record:
        """A record of `backend`'s answer to `question`; `values` are the other fields."""
        return cls(
            format=FORMAT,
            backend=backend,
            conversation_id=question.conversation_id,
            question_id=question.id,
            category=question.category,
            unanswerable=question.unanswerable,
            question=question.text,
            gold=question.gold,
            evidence=question.evidence,
            evidence_sessions=question.evidence_sessions,
            **values,
        )

    @classmethod
    def failed(cls, backend: str, question: Question, step: str, error: BaseException, **values: Any) -> Record:
        """A record of a question that ended in an error at `step` (ingest, retrieve, answer or judge)."""
        text = f"{step}: {type(error).__name__}: {error}"
        return cls.of(backend, question, status="error", error=text, **values)

    @property
    def answerable(self) -> bool:
        """Whether the conversation holds an answer. Otherwise the evidence labels mark turns that mislead."""
        return not self.unanswerable

    @property
    def scored(self) -> bool:
        """Whether a judge graded the answer. An errored question is neither right nor wrong."""
        return self.status == "ok" and self.correct is not None

    @property
    def latency_s(self) -> float | None:
        """Retrieval plus answer, which the ENGRAM paper calls total; None unless both are known."""
        if self.retrieval_s is None or self.answer_s is None:
            return None
        return self.retrieval_s + self.answer_s

    @property
    def votes(self) -> tuple[bool, ...]:
        return self.judge.votes if self.judge else ()

    @property
    def judge_cost_usd(self) -> float | None:
        return self.judge.cost_usd if self.judge else None
