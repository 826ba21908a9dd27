"""What a person sees while a run goes on, on a terminal and in a file."""

from __future__ import annotations

import sys

import pytest

from engram_eval.run.progress import Progress
from tests.records import failed, record


def test_in_a_file_there_are_ten_lines_and_no_bars(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1, 100, ["engram"], done={}, headline=["single-hop"]) as progress:
        for i in range(100):
            progress.question(record(question_id=f"q{i}", category="single-hop"))
    err = capsys.readouterr().err
    assert err.splitlines() == [f"{n} of 100 answers" for n in range(10, 101, 10)]


def test_on_a_terminal_the_bar_shows_accuracy_tokens_money_and_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress(1, 4, ["engram"], done={}, headline=["single-hop"]) as progress:
        progress.question(
            record(question_id="1", category="single-hop", correct=True, context_tokens=900, cost_usd=0.5)
        )
        progress.question(
            record(question_id="2", category="single-hop", correct=False, context_tokens=910, cost_usd=0.5)
        )
        progress.question(
            record(question_id="3", category="adversarial", correct=True, context_tokens=920, cost_usd=0.5)
        )
        progress.question(failed(question_id="4", category="single-hop"))
        assert str(progress._tallies["engram"]) == "50.0 % right (9–91), 910 tokens, $1.50, 1 errors"
    err = capsys.readouterr().err
    assert "engram: first error: OSError: no" in err
    assert "50.0 % right" in err


def test_a_resumed_run_continues_its_count(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1, 10, ["engram"], done={"engram": 5}) as progress:
        for i in range(5):
            progress.question(record(question_id=f"q{i}"))
    assert capsys.readouterr().err.splitlines()[-1] == "10 of 10 answers"
