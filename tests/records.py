"""Records for tests: a valid one, in which a test sets what it is about."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engram_eval.backends.backend import BackendInfo
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import Manifest
from engram_eval.results.record import JudgeDecision, Record
from engram_eval.results.stored import FORMAT, encodable


def record(**values: Any) -> Record:
    defaults: dict[str, Any] = {
        "backend": "engram",
        "conversation_id": "conv-1",
        "question_id": "conv-1:q0",
        "category": "single-hop",
        "unanswerable": False,
        "question": "Where?",
        "gold": "Lisbon",
        "answer": "Lisbon",
        "status": "ok",
        "error": None,
        "correct": True,
        "judge": {"name": "offline", "votes": [True], "reason": "same"},
        "f1": 1.0,
        "context_tokens": 900,
        "prompt_tokens": 910,
        "completion_tokens": 2,
        "cost_usd": 0.0,
        "retrieval_s": 0.002,
        "answer_s": 0.003,
        "judge_s": 0.0001,
        "ingest_s": 1.5,
        "ingest_cost_usd": 0.0,
        "ingest_warnings": 0,
        "cached": False,
        "retrieved": ["D1:1"],
        "ranked": True,
        "evidence": ["D1:1"],
        "evidence_recall": 1.0,
        "evidence_all": True,
        "evidence_found": ["D1:1"],
        "evidence_truncated": [],
        "evidence_stored": ["D1:1"],
        "answer_in_context": True,
        "context": None,
        "evidence_text": None,
        "truncated": False,
        "cut": False,
        "retrieved_sessions": ["D1"],
        "evidence_sessions": ["D1"],
    }
    fields: dict[str, Any] = {**defaults, **values}
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    if isinstance(judge := fields["judge"], dict):
        fields["judge"] = JudgeDecision(**{**judge, "votes": tuple(judge.get("votes", ()))})
    return Record(format=FORMAT, **fields)


def changed(item: Record, **values: Any) -> Record:
    """The record with other values."""
    return record(**{**{name: getattr(item, name) for name in Record.model_fields if name != "format"}, **values})


def failed(**values: Any) -> Record:
    """A question that ended in an error: all values that were not reached are None."""
    nothing = dict.fromkeys(
        (
            "answer", "correct", "judge", "f1", "context_tokens", "prompt_tokens", "completion_tokens", "cost_usd",
            "retrieval_s", "answer_s", "judge_s", "evidence_recall", "evidence_all", "answer_in_context",
            "retrieved_sessions",
        )
    )  # fmt: skip
    return record(**{**nothing, "status": "error", "error": "OSError: no", "retrieved": [], **values})


def backend(**traits: Any) -> dict[str, Any]:
    return {**asdict(BackendInfo()), **traits, "settings": {}}


def probe(note: str) -> dict[str, Any]:
    """The summary of a judge probe without errors, as it is on disk."""
    rate = {"n": 12, "count": 0, "rate": 0.0, "ci": [0.0, 0.24]}
    by_kind = dict.fromkeys(("paraphrase", "vague", "corrupted", "adversarial"), rate)
    return {"n": 36, "errors": 0, "false_accept": rate, "false_reject": rate, "by_kind": by_kind, "note": note}


def write_run(path: Path, records: Iterable[Record], **changes: Any) -> RunFolder:
    """A run on disk; `changes` are values of its manifest."""
    folder = RunFolder(path)
    folder.create(manifest(**changes))
    with folder.appending() as writer:
        for item in records:
            writer.append(item)
    return folder


def manifest(**values: Any) -> Manifest:
    content = json.dumps(_encodable(manifest_json(**values))).encode()
    return Manifest.read(content, "the test's manifest", "fix the test")


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return encodable(value)


def manifest_json(**values: Any) -> dict[str, Any]:
    """As it is on disk."""
    if "judge" in values:
        values["judge"] = {"model": values["judge"]["name"], **values["judge"]}
    return {
        "format": FORMAT,
        "engram_eval": "0.1.0",
        "settings": {},
        "seed": 0,
        "dataset": {
            "name": "locomo",
            "sha256": "ab",
            "origin": "here",
            "categories": ["multi-hop", "single-hop", "adversarial"],
            "headline": ["multi-hop", "single-hop"],
            "questions": 4,
            "conversations": 2,
        },
        "backends": {
            "none": backend(control=True),
            "engram": backend(),
            "bm25": backend(),
            "oracle": backend(context_limit="none", control=True, sees_evidence=True),
        },
        "reader": {"name": "offline", "model": "offline", "window": 128_000},
        "judge": {"name": "offline", "model": "offline", "agreement": "agrees with a judge in 9 of 10"},
        "embedder": {"name": "static", "dimensions": 384},
        "token_encoding": "o200k_base",
        "budget": 916,
        "prompts": {},
        **values,
    }


def run() -> list[Record]:
    """A small run of four questions: two conversations, one adversarial question, one error."""
    records = []
    for backend, right, tokens in (("none", 0, 0), ("engram", 2, 900), ("bm25", 1, 880), ("oracle", 3, 60)):
        for i, (conversation, category) in enumerate(
            [("a", "multi-hop"), ("a", "single-hop"), ("b", "single-hop"), ("b", "adversarial")]
        ):
            common = {
                "backend": backend,
                "conversation_id": conversation,
                "question_id": f"{conversation}:q{i}",
                "category": category,
                "unanswerable": category == "adversarial",
            }
            if backend == "bm25" and i == 2:
                records.append(failed(**common))
                continue
            retrieved = bool(tokens) and i < right
            records.append(
                record(
                    **common,
                    correct=i < right if category != "adversarial" else True,
                    f1=0.5 if i < right else 0.0,
                    context_tokens=tokens,
                    retrieval_s=0.001 * (i + 1),
                    answer_s=0.01,
                    evidence_recall=1.0 if retrieved else 0.0,
                    evidence_all=retrieved,
                    answer_in_context=retrieved,
                    retrieved=["D1:1"] if retrieved else ["D9:9"] if tokens else [],
                    ranked=backend in ("engram", "bm25"),
                    retrieved_sessions=["D1"] if retrieved else ["D9"] if tokens else [],
                    ingest_s=2.0,
                )
            )
    return records


PRICED = {"engram": backend(), "bm25": backend(), "full-history": backend(context_limit="window")}


def priced_run() -> list[Record]:
    """The same questions with a model: a memory that costs to ingest, one that does not, and the full history."""
    records = []
    for label, once, each in (("engram", 2.0, 0.5), ("bm25", 0.0, 0.01), ("full-history", 0.0, 0.625)):
        for item in run():
            if item.backend == "engram":
                second = item.conversation_id == "b" and label == "engram"
                judge = {"name": "llm", "votes": [True, True, item.correct], "reason": "same", "cost_usd": 0.01}
                cost = each - 0.2 if second else each
                records.append(changed(item, backend=label, ingest_cost_usd=once, cost_usd=cost, judge=judge))
    return records
