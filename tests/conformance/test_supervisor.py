"""The process in which checks run: a memory that hangs or crashes costs one check; and what a test of an author's own sees."""

from __future__ import annotations

import unittest
from collections.abc import Iterator

import pytest

from engram_eval.cli.main import main
from engram_eval.conformance import Supervisor, checks_of
from engram_eval.conformance.checks import ALL_CHECKS
from engram_eval.errors import UserError

_MEMORIES = "tests.conformance.memories"


@pytest.fixture
def supervised() -> Iterator[list[Supervisor]]:
    """Supervisors to close at the end."""
    supervisors: list[Supervisor] = []
    yield supervisors
    for supervisor in supervisors:
        supervisor.close()


def test_a_memory_that_blocks_its_process_is_ended_and_the_next_check_runs(
    supervised: list[Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engram_eval.conformance.supervisor.GRACE_S", 3.0)
    supervisor = Supervisor(f"{_MEMORIES}:BlocksBackend", timeout_s=0.1)
    supervised.append(supervisor)
    blocked = supervisor.outcome("needle")
    assert (blocked.result, blocked.text.partition(";")[0]) == ("FAILS", "retrieve did not return within 0.1 s")
    assert supervisor.outcome("settings").result == "holds"


def test_a_memory_that_ends_its_process_fails_the_check_with_its_last_words(supervised: list[Supervisor]) -> None:
    supervisor = Supervisor(f"{_MEMORIES}:CrashesBackend")
    supervised.append(supervisor)
    outcomes = {outcome.name: outcome for outcome in supervisor.outcomes()}
    assert outcomes["opens"].text.startswith(
        "ingest ended the whole process (exit code 9; it printed 'no memory left')"
    )
    assert outcomes["signatures"].result == "holds"
    assert outcomes["queries"].result == "not applicable"
    assert "see 'opens'" in outcomes["queries"].text
    assert len(outcomes) == len(ALL_CHECKS)


def test_an_order_that_differs_between_processes_is_seen(supervised: list[Supervisor]) -> None:
    supervisor = Supervisor(f"{_MEMORIES}:SetOrderBackend")
    supervised.append(supervisor)
    outcome = supervisor.outcome("deterministic")
    assert outcome.result == "FAILS"
    assert "in another process" in outcome.text


def test_a_test_of_an_author_passes_fails_or_is_skipped() -> None:
    checks = {str(check): check for check in checks_of(f"{_MEMORIES}:MisspeltPreset", without=["offline"])}
    assert set(checks) == {check.name for check in ALL_CHECKS} - {"offline"}
    checks["needle"]()
    with pytest.raises(AssertionError, match="preset 'wide' sets 'kk'"):
        checks["settings"]()
    with pytest.raises(unittest.SkipTest, match="does not set paraphrases"):
        checks["paraphrased-sources"]()
    checks["needle"].supervisor.close()


def test_the_command_prints_one_line_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    backend = f"{_MEMORIES}:MisspeltPreset"
    assert (
        main(["try-backend", backend, "--check", "needle", "--check", "settings", "--set", "MisspeltPreset.k=9"]) == 1
    )
    fails, holds, _, total = capsys.readouterr().out.splitlines()
    assert fails.split()[:2] == ["FAILS", "settings"]
    assert holds.split()[:2] == ["holds", "needle"]
    assert total == "1 check holds, 1 fails."
    assert main(["try-backend", "bm25", "--check", "before-ingest"]) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing"], "there is no backend 'nothing'"),
        (["bm25", "--check", "all"], "there is no check 'all'; the checks are opens, settings"),
        (["bm25", "--set", "bm25.k=3"], "backend 'bm25' has no setting 'k'"),
        (["engram:paper"], "asks a model; name one with --model"),
    ],
)
def test_what_cannot_be_tried_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try-backend", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_an_unknown_name_left_out_is_refused() -> None:
    with pytest.raises(UserError, match="there is no check 'speed'"):
        checks_of("bm25", without=["speed"])
