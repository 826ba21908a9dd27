"""`--help` and its examples, and what a user does first: doctor, the lists, generate, check, run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from engram_eval.cli.main import COMMANDS, main, parse

_ROOT = Path(__file__).parents[2]


def _help(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_every_help_are_understood(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(capsys, command)
    examples = [line.split() for line in text.partition("examples:\n")[2].splitlines() if line.strip()]
    assert examples
    for program, *arguments in examples:
        assert program == "engram-eval"
        parse(arguments)


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(capsys)
    assert all(re.search(rf"^ +{command}( |$)", text, re.MULTILINE) for command in COMMANDS)


@pytest.mark.usefixtures("no_network")
def test_doctor_and_the_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "ok       embedder: static" in capsys.readouterr().out
    assert main(["backends"]) == 0
    listed = capsys.readouterr().out
    assert "--set engram.k=40" in listed
    assert "engram:dense is ranker=dense" in listed
    assert main(["datasets", "list"]) == 0
    assert "longmemeval_s" in capsys.readouterr().out


def test_generate_then_check_then_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for style, name in (("locomo", "locomo"), ("longmemeval", "longmemeval_s")):
        file = tmp_path / f"{style}.json"
        assert main(["datasets", "generate", "--style", style, "--conversations", "1", "--out", str(file)]) == 0
        assert main(["datasets", "check", "--data", str(file)]) == 0
        assert f"{name}: {file} (named with --data)" in capsys.readouterr().out
        run = tmp_path / f"run-{style}"
        assert main(["run", "--data", str(file), "--backend", "bm25", "--limit", "3", "--out", str(run)]) == 0
    assert main(["datasets", "generate", "--style", "locomo"]) == 2
    assert main(["datasets", "generate", "--conversations", "1", "--out", str(file / "x.json")]) == 2


def test_evidence_sessions_are_measured_on_a_file_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run = tmp_path / "mine.json", tmp_path / "run"
    assert main(["datasets", "generate", "--style", "longmemeval", "--conversations", "1", "--out", str(file)]) == 0
    experiment = str(_ROOT / "benchmarks" / "retrieval_longmemeval.toml")
    data = ["--dataset", "longmemeval_s", "--data", str(file)]
    assert main(["run", experiment, *data, "--backend", "bm25", "--out", str(run)]) == 0
    assert "Sessions (distinct sessions of the turns in the context" in capsys.readouterr().out
    bm25 = json.loads((run / "summary.json").read_text())["backends"]["bm25"]
    assert 0 <= bm25["session_recall_any@5"] <= bm25["session_recall_any@10"] <= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--bugdet", "5"], "unrecognized arguments: --bugdet"),
        (["run", "--budget", "0"], "argument --budget: invalid positive whole number value: '0'"),
        (["compare"], "the following arguments are required: RUN"),
    ],
)
def test_a_fault_in_the_command_line_is_one_sentence_and_exit_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"engram-eval: {sentence}; see '")
    assert error.count("\n") == 1
