"""No text of others, wherever it comes from, can write to the terminal what is not seen."""

from __future__ import annotations

import copy
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from engram_eval.tables.text import visible
from tests.datasets.test_locomo import _RECORD
from tests.llm.server import Server, Step, refuses, says, sends

HOSTILE = "a\x1b[2J\x07\x9b31m\u202eb\x00"
_VERDICT = json.dumps({"reason": HOSTILE, "verdict": "CORRECT"})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """LoCoMo's form with hostile speakers, turns, questions and answers, in a file of a hostile name."""
    record = json.loads(json.dumps(_RECORD).replace("Ann", "Ann\\u001b[2J\\u202e"))
    for question in record["qa"]:
        question["question"] += HOSTILE
        if isinstance(question.get("answer"), str):
            question["answer"] += HOSTILE
    path = tmp_path / "data\x1b[2J\u202e.json"
    path.write_text(json.dumps([{**copy.deepcopy(record), "sample_id": "c\x1b[2J"}]))
    return path


def _answers(body: dict[str, Any]) -> Step:
    step = says(_VERDICT if "response_format" in body else HOSTILE)
    return sends({**json.loads(step.body), "model": f"other{HOSTILE}"})


def test_what_others_write_is_shown_with_its_hidden_characters_as_marks(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-4f9a1c77e2b84d0c")
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / "cache"))
    run, other = str(tmp_path / "run\x1b[2J"), str(tmp_path / "other")
    answers = tmp_path / "answers\x1b[2J.jsonl"
    answers.write_text(json.dumps({"question_id": "c\x1b[2J:q0", "answer": HOSTILE}) + "\n")
    listed = {"/v1/models": sends({"data": [{"id": HOSTILE, "max_model_len": 4096}]})}
    with Server(answer=_answers, says_of_itself=listed) as server:
        model = ["--base-url", server.url]
        commands = [
            ["datasets", "check", str(data)],
            ["run", "--data", str(data), "--backend", "bm25", *model, "--probe", "--out", run],
            ["run", "--data", str(data), "--backend", "bm25", *model, "--model", f"x{HOSTILE}", "--out", other],
            ["run", "--data", str(data), "--backend", "bm25", *model, "--dry-run"],
            ["run", "--data", str(data), "--backend", f"no{HOSTILE}"],
            ["run", f"--no{HOSTILE}"],
            ["compare", run, other],
            ["compare", run, other, "--format", "markdown"],
            ["failures", run],
            ["show", run, "c\x1b[2J:q0"],
            ["show", run, HOSTILE],
            [
                "judge",
                str(answers),
                "--data",
                str(data),
                "--judge",
                "offline",
                "--out",
                str(tmp_path / "graded\x1b[2J"),
            ],
            ["rejudge", run, "--judge", "offline", "-o", str(tmp_path / "rejudged\x1b[2J")],
            ["baseline", run, "-o", str(tmp_path / "baseline\x1b[2J.json")],
            ["check", run, "--baseline", str(tmp_path / "baseline\x1b[2J.json")],
            ["export", run, "-o", str(tmp_path / "table\x1b[2J.csv")],
            ["report", run, "-o", str(tmp_path / "report\x1b[2J.html")],
            ["cache", "stats"],
            ["cache", "export", str(tmp_path / "bundle\x1b[2J.gz"), "--run", run],
        ]
        said = [(command, _said(command, capfd)) for command in commands]
    with Server(answer=lambda _: refuses(400, HOSTILE)) as server:
        refused = ["run", "--data", str(data), "--model", "m", "--base-url", server.url]
        said.append((refused, _said(refused, capfd)))
    for command, text in said:
        assert "⟨U+001B⟩" in text or r"\x1b" in text, command
        assert visible(text) == text, (
            command,
            [text[max(0, m.start() - 60) : m.end() + 5] for m in _HIDDEN.finditer(text)],
        )


_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def _said(command: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    with suppress(SystemExit):
        main(command)
    out, err = capfd.readouterr()
    return out + err
