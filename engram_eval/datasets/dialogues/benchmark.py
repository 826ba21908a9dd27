"""A user's own data as a benchmark: categories come from the file, everything else has a neutral default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engram_eval.datasets.benchmark import SESSIONS_TABLE, Benchmark, JudgeRules
from engram_eval.datasets.dataset import Dataset, refuse_options
from engram_eval.datasets.source import sha256_of
from engram_eval.errors import UserError
from engram_eval.language.prompt import read_prompt
from engram_eval.metrics.f1 import answerable_f1

# Only opening a file imports the loader, and with it pydantic: every command declares this benchmark.

_PROMPTS = Path(__file__).parent / "prompts"
_KEYS = re.compile(rb'\s*\{.*?"(?:sessions|turns)"\s*:', re.DOTALL)


def _open(data: Path | None, options: Mapping[str, str]) -> Dataset:
    """Reads the whole file once, for its categories."""
    from engram_eval.datasets.dialogues import loader

    refuse_options(DIALOGUES.name, options)
    if data is None:
        raise UserError("--dataset dialogues: names no file; name your own with --data FILE.jsonl")
    if data.is_dir():
        raise UserError(f"{data}: this is a folder; name the data file in it")
    return Dataset(
        benchmark=_declare(data),
        origin=f"{data} (named with --data)",
        sha256=sha256_of(data),
        read=lambda notes: loader.read_samples(data, notes),
    )


def _declare(data: Path) -> Benchmark:
    """The benchmark with the file's categories, in the order in which they occur.

    The headline leaves out categories that hold unanswerable questions alone, as LoCoMo's leaves out its category 5.
    """
    from engram_eval.datasets.dialogues import loader

    answerable: dict[str, bool] = {}
    names_sessions = False
    for record in loader.sound_records(data):
        for question in record.questions:
            category = loader.category_of(question)
            answerable[category] = answerable.get(category, False) or not question.unanswerable
            names_sessions = names_sessions or bool(question.evidence_sessions)
    headline = tuple(category for category, has_answers in answerable.items() if has_answers)
    return replace(
        DIALOGUES,
        categories=tuple(answerable),
        headline=headline or tuple(answerable),
        tables=frozenset({SESSIONS_TABLE} if names_sessions else ()),
    )


def _recognises(head: bytes, _path: Path) -> bool:
    """A JSON object first, with the format's own keys."""
    return _KEYS.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


DIALOGUES = Benchmark(
    name="dialogues",
    summary="your own conversations and questions, from a JSON Lines file (--data FILE.jsonl)",
    open=_open,
    recognises=_recognises,
    categories=(),  # the file's own
    headline=(),
    budget=916,
    budget_reason="the budget of ENGRAM's paper on LoCoMo",
    reader_prompt=read_prompt(_PROMPTS, "reader_dialogues_v1"),
    judge_rules=JudgeRules(default=read_prompt(_PROMPTS, "judge_dialogues_v1")),
    f1=answerable_f1,
    answer_tokens_beyond_gold=10,
    licence="yours",
)
