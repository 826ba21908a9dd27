"""Runs for the gate's tests, in the current folder, and its two commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engram_eval.cli.main import parse
from engram_eval.results.record import Record
from tests.records import backend, changed, manifest_json, record
from tests.records import write_run as write_run_to

BACKENDS = {
    "none": backend(control=True),
    "engram": backend(),
    "full-history": backend(context_limit="window"),
    "degraded": backend(control=True),
}
QUESTIONS = 60


def records() -> list[Record]:
    """Six conversations of ten questions: engram is right in 40 of 54, degraded in 14; every tenth is adversarial."""
    return [
        _record(label, number, right_of_ten)
        for label, right_of_ten in (("none", 0), ("engram", 7), ("full-history", 6), ("degraded", 2))
        for number in range(QUESTIONS)
    ]


def _record(label: str, number: int, right_of_ten: int) -> Record:
    right = (number * 7) % 10 < right_of_ten and label != "none"
    adversarial = number % 10 == 9
    return record(
        backend=label,
        conversation_id=f"c{number // 10}",
        question_id=f"c{number // 10}:q{number % 10}",
        category="adversarial" if adversarial else ("multi-hop", "single-hop")[number % 2],
        unanswerable=adversarial,
        correct=right,
        evidence_recall=1.0 if right else 0.25,
        evidence_all=right,
        answer_in_context=None if adversarial else right,
        context_tokens=16_000 if label == "full-history" else 900 + number % 5,
        retrieval_s=0.001 * (1 + number % 3),
        cost_usd=0.0001 * (1 + number % 2),
        retrieved=["D1:1"] if right else ["D9:9"],
        ranked=label == "engram",
    )


def with_changes(change: Callable[[Record], dict[str, Any]], label: str = "engram") -> list[Record]:
    """The records, with one backend's changed."""
    return [changed(item, **change(item)) if item.backend == label else item for item in records()]


def number_of(item: Record) -> int:
    """The number of a record's question, from 0."""
    conversation, _, question = item.question_id.partition(":q")
    return 10 * int(conversation[1:]) + int(question)


def write_run(run_records: Iterable[Record] | None = None, name: str = "run", **changes: Any) -> Path:
    """A run in a folder of the current one; `changes` are to its manifest."""
    dataset = {**manifest_json()["dataset"], "questions": QUESTIONS, "conversations": 6}
    values = {"backends": BACKENDS, "dataset": dataset, "engram_eval": "0.0.9", **changes}
    return write_run_to(Path(name), records() if run_records is None else run_records, **values).path


def write_rules(text: str) -> str:
    """Writes the rules file; returns the flag that names it."""
    Path("rules.toml").write_text(text, "utf-8")
    return "--rules=rules.toml"


def command(*arguments: str) -> int:
    options = parse(arguments)
    code: int = options.command(options)
    return code


def run_check(*arguments: str, run: str = "run") -> int:
    return command("check", run, "--baseline", "base.json", *arguments)
