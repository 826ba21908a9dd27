"""LongMemEval (Wu et al., ICLR 2025) as three values, one a file: S, oracle and M ask the same 500 questions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engram_eval.datasets.benchmark import SESSIONS_TABLE, Benchmark, JudgeRules
from engram_eval.datasets.dataset import Dataset, refuse_options
from engram_eval.datasets.longmemeval import loader
from engram_eval.datasets.source import Remote, find_data, sha256_of
from engram_eval.errors import UserError
from engram_eval.language.prompt import read_prompt
from engram_eval.metrics.f1 import answerable_f1

_FOLDER = Path(__file__).parent
_PROMPTS = _FOLDER / "prompts"
_HUB = "hf://datasets/xiaowu0162/longmemeval-cleaned"
_KEYS = re.compile(rb'"(?:haystack_\w+|question_type)"\s*:')
_SIZE = re.compile(r"longmemeval_(oracle|m)(?![a-z])")


def _open_s(data: Path | None, options: Mapping[str, str]) -> Dataset:
    return _open(LONGMEMEVAL_S, "longmemeval_s_cleaned.json", data, options)


def _open_oracle(data: Path | None, options: Mapping[str, str]) -> Dataset:
    return _open(LONGMEMEVAL_ORACLE, "longmemeval_oracle.json", data, options)


def _open_m(data: Path | None, options: Mapping[str, str]) -> Dataset:
    return _open(LONGMEMEVAL_M, "longmemeval_m_cleaned.json", data, options)


def _open(benchmark: Benchmark, file: str, data: Path | None, options: Mapping[str, str]) -> Dataset:
    """The dataset in `data`, or in the published file of that name."""
    refuse_options(benchmark.name, options)
    remote = Remote(f"{_HUB}/{file}", file, sha256=None)
    path, origin = find_data(data, patterns=(file, f"{benchmark.name}*.json"), remote=remote, holds=_KEYS)
    if path.is_dir():
        raise UserError(f"{path}: this is a folder; name the data file in it, such as {file}")
    return Dataset(
        benchmark=benchmark,
        origin=origin,
        sha256=sha256_of(path),
        read=lambda notes: loader.read_samples(path, notes),
        differences=lambda counts, _conversations: loader.differences(path, file, counts),
    )


def _recognises_s(head: bytes, path: Path) -> bool:
    """LongMemEval's keys, unless the file has the name of another of the three files."""
    return _KEYS.search(head) is not None and not _SIZE.search(path.name)


def _recognises_oracle(head: bytes, path: Path) -> bool:
    return _named(head, path, "oracle")


def _recognises_m(head: bytes, path: Path) -> bool:
    return _named(head, path, "m")


def _named(head: bytes, path: Path, size: str) -> bool:
    match = _SIZE.search(path.name)
    return _KEYS.search(head) is not None and match is not None and match[1] == size


LONGMEMEVAL_S = Benchmark(
    name="longmemeval_s",
    summary="500 questions over chats of about 115k tokens (Wu et al., ICLR 2025); fetched once, 280 MB",
    open=_open_s,
    recognises=_recognises_s,
    categories=loader.CATEGORIES,
    headline=loader.CATEGORIES,
    budget=1200,  # ENGRAM uses 1.0-1.2k (arXiv 2511.12960)
    budget_reason="the budget of ENGRAM's paper on LongMemEval-S",
    reader_prompt=read_prompt(_PROMPTS, "reader_longmemeval_v1"),
    # A rule a question type, as in the official evaluate_qa.py: counts of days may be off by one in temporal questions,
    # the updated answer counts in knowledge updates, a rubric is the gold of preferences.
    judge_rules=JudgeRules(
        default=read_prompt(_PROMPTS, "judge_longmemeval_v1"),
        by_category={
            "temporal-reasoning": read_prompt(_PROMPTS, "judge_longmemeval_temporal_v1"),
            "knowledge-update": read_prompt(_PROMPTS, "judge_longmemeval_update_v1"),
            "single-session-preference": read_prompt(_PROMPTS, "judge_longmemeval_preference_v1"),
        },
    ),
    f1=answerable_f1,
    answer_tokens_beyond_gold=30,  # its answers are sentences
    rubric_categories=frozenset({"single-session-preference"}),
    tables=frozenset({SESSIONS_TABLE}),
    category_mean=True,  # print_qa_metrics.py prints "Task-averaged Accuracy" and "Overall Accuracy"
    published=_FOLDER / "published.toml",
    licence="MIT",
    citation="Wu et al., LongMemEval: Benchmarking Chat Assistants on Long-Term Interactive Memory, ICLR 2025",
    homepage="https://github.com/xiaowu0162/LongMemEval",
)
LONGMEMEVAL_ORACLE = replace(
    LONGMEMEVAL_S,
    name="longmemeval_oracle",
    summary="the same questions over their evidence sessions alone; fetched once, 15 MB",
    open=_open_oracle,
    recognises=_recognises_oracle,
    published=None,
)
LONGMEMEVAL_M = replace(
    LONGMEMEVAL_S,
    name="longmemeval_m",
    summary="the same questions over some 500 sessions each; fetched once, 2.7 GB",
    open=_open_m,
    recognises=_recognises_m,
    published=None,
)
