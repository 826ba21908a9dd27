"""Latency is computed once, on the record: every table agrees on what is known of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from engram_eval.compare.comparison import Comparison, compare
from engram_eval.results.folder import RunFolder
from tests.datasets.test_locomo import _RECORD


def _grade(name: str, times: dict[str, float]) -> RunFolder:
    """A run of four graded answers, each with the given times."""
    gold = ["a dog", "1990", "that is not mentioned", "pets"]
    lines = [
        {"question_id": f"conv-7:q{number}", "answer": answer, "context_tokens": 10, **times}
        for number, answer in enumerate(gold)
    ]
    Path(f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    arguments = ["judge", f"{name}.jsonl", "--data", "locomo.json", "--name", name, "--out", name]
    assert main([*arguments, "--judge", "offline"]) == 0
    return RunFolder(Path(name))


def _cells(comparison: Comparison, title: str) -> list[dict[str, str]]:
    """The rows of the table whose title begins with `title`, by column."""
    table = next(table for table in comparison.tables if table.title.startswith(title))
    names = [column.name for column in table.columns]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.cells()]


@pytest.mark.parametrize(
    ("first_times", "second_times", "totals", "difference"),
    [
        ({"answer_s": 2.0}, {"answer_s": 1.0}, ["–", "–"], "–"),
        ({"answer_s": 2.0, "retrieval_s": 0.5}, {"answer_s": 1.0, "retrieval_s": 0.5}, ["2,500", "1,500"], "1,000.0"),
    ],
)
def test_the_time_table_and_the_pairs_table_agree(
    first_times: dict[str, Any],
    second_times: dict[str, Any],
    totals: list[str],
    difference: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("locomo.json").write_text(json.dumps([_RECORD]))
    comparison = compare([_grade("slow", first_times), _grade("fast", second_times)])
    assert [row["total ms p50"] for row in _cells(comparison, "Time")] == totals
    assert [row["answer ms p50"] for row in _cells(comparison, "Time")] == ["2,000", "1,000"]
    (pair,) = _cells(comparison, "Pairs: mean differences")
    assert pair["total ms"].lstrip("+-") == difference
