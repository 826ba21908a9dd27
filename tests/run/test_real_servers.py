"""A run against servers as people run them: what they say of themselves, what they change, and what the table says of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from tests.llm.server import Answer, Server, Step, says, sends
from tests.model import plays


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-4f9a1c77e2b84d0c")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / "cache"))


def _command(url: str, out: Path, *more: str) -> list[str]:
    data = ["--dataset", "synthetic", "--set", "dataset.conversations=1", "--set", "dataset.turns=60"]
    run = [
        "run",
        *data,
        "--backend",
        "full-history",
        "--no-controls",
        "--limit",
        "4",
        "--model",
        "phi4",
        "--base-url",
        url,
    ]
    return [*run, "--out", str(out), *more]


def _lists(*models: dict[str, Any]) -> dict[str, Step]:
    return {"/v1/models": sends({"data": list(models)})}


def _reads(reader: Answer) -> Answer:
    """A server whose judge answers as it should, and whose reader answers as given."""
    judge = plays()
    return lambda body: judge(body) if "response_format" in body else reader(body)


def _records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]


def test_the_full_history_fits_the_context_that_the_server_says_and_a_replay_the_same(tmp_path: Path) -> None:
    with Server(answer=plays(), says_of_itself=_lists({"id": "phi4", "max_model_len": 2048})) as server:
        assert main(_command(server.url, tmp_path / "run")) == 0
    assert main(_command(server.url, tmp_path / "replay", "--replay")) == 0
    for run in (tmp_path / "run", tmp_path / "replay"):
        assert json.loads((run / "manifest.json").read_text())["reader"]["window"] < 2048 - 512
        assert all(record["truncated"] for record in _records(run))


def test_a_longer_window_and_a_model_that_is_not_listed_are_told_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = _lists({"id": "/home/ann/qwen3.gguf", "meta": {"n_ctx": 4096}})
    with Server(answer=plays(), says_of_itself=listed) as server:
        assert main(_command(server.url, tmp_path / "run", "--window", "8000", "--dry-run")) == 0
    err = capsys.readouterr().err
    assert "does not list the reader's model phi4 (it lists qwen3.gguf)" in err
    assert "--window 8,000 is more than the 4,096 tokens" in err
    assert "/home/ann" not in err


def test_a_model_that_is_a_path_is_shown_by_its_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [part for part in _command("URL", tmp_path / "run") if part not in ("--model", "phi4")]
    with Server(answer=plays(), says_of_itself=_lists({"id": "/home/ann/phi4.gguf"})) as server:
        assert main([server.url if part == "URL" else part for part in command]) == 0
        assert {asked.body["model"] for asked in server.asked} == {"/home/ann/phi4.gguf"}, (
            "the server gets the name it listed"
        )
    said = capsys.readouterr()
    assert "/home/ann" not in said.out + said.err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["reader"]["model"] == manifest["judge"]["model"] == "phi4.gguf"
    assert main(["cache", "export", str(tmp_path / "b.gz"), "--run", str(tmp_path / "run")]) == 0
    assert b"/home/ann" not in (tmp_path / "b.gz").read_bytes()


def test_a_model_that_answers_under_another_name_is_recorded_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def other(body: dict[str, Any]) -> Step:
        return sends({**json.loads(plays()(body).body), "model": "llama3.2:1b"})

    with Server(answer=other) as server:
        assert main(_command(server.url, tmp_path / "run")) == 0
        assert "for phi4, and it answered as llama3.2:1b" in capsys.readouterr().out.replace("\n", " ")
        manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
        assert manifest["models"]["reader"]["served"] == ["llama3.2:1b"]
        assert main(["run", "--resume", str(tmp_path / "run")]) == 0, (
            "the name in the manifest does not hinder a resumed run"
        )


def test_contexts_that_the_server_cut_are_errors_that_a_mended_server_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mended = False

    def reader(_: dict[str, Any]) -> Step:
        return says("Lisbon", prompt=4000 if mended else 256)

    with Server(answer=_reads(reader)) as server:
        assert main(_command(server.url, tmp_path / "run")) == 3
        assert "the server read 256 tokens of a prompt of about" in capsys.readouterr().err
        assert {record["status"] for record in _records(tmp_path / "run")} == {"error"}
        mended = True
        assert main(["run", "--resume", str(tmp_path / "run")]) == 0


def test_reasoning_is_no_answer_and_is_told_under_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(answer=_reads(lambda _: says("It was in Lisbon.</think>I have no idea.", prompt=4000))) as server:
        assert main(_command(server.url, tmp_path / "run")) == 0
    assert {record["answer"] for record in _records(tmp_path / "run")} == {"I have no idea."}
    assert "4 answers held the model's reasoning in the text" in capsys.readouterr().out.replace("\n", " ")


def test_answers_made_elsewhere_lose_their_reasoning_too(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    ids = ["synthetic-0:q0", "synthetic-0:q1"]
    texts = ["<think>Lisbon or Porto?</think>I have no idea.", "<think>Lisbon or Porto?"]
    lines = [{"question_id": id_, "answer": text} for id_, text in zip(ids, texts, strict=True)]
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    grade = ["judge", str(answers), "--dataset", "synthetic", "--judge", "offline", "--out", str(tmp_path / "graded")]
    assert main(grade) == 3
    graded = {record["question_id"]: record for record in _records(tmp_path / "graded")}
    assert graded[ids[0]]["answer"] == "I have no idea."
    assert graded[ids[0]]["reasoning_removed"]
    assert "reasoning that does not end" in graded[ids[1]]["error"]


def test_limits_of_a_role_reach_its_calls_alone(tmp_path: Path) -> None:
    with Server(answer=plays()) as server:
        assert main(_command(server.url, tmp_path / "run", "--reader-max-tokens", "77")) == 0
    limits = {"response_format" in asked.body: asked.body["max_tokens"] for asked in server.asked}
    assert limits == {False: 77, True: 512}


def test_one_role_is_asked_again_and_what_a_run_used_can_be_forgotten(tmp_path: Path) -> None:
    with Server(answer=plays()) as server:
        assert main(_command(server.url, tmp_path / "one")) == 0
        sent = len(server.asked)
        assert main(_command(server.url, tmp_path / "two", "--refresh", "judge")) == 0
        again = server.asked[sent:]
        assert again
        assert all("response_format" in asked.body for asked in again)
        assert main(["cache", "forget", "--run", str(tmp_path / "one")]) == 0
        before = len(server.asked)
        assert main(_command(server.url, tmp_path / "three")) == 0
        assert len(server.asked) - before == sent


def test_a_judge_that_accepts_everything_is_told_and_no_gate_takes_its_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yes = says(json.dumps({"reason": "fine", "verdict": "CORRECT"}))
    with Server(answer=lambda body: yes if "response_format" in body else says("Lisbon", prompt=4000)) as server:
        assert main(_command(server.url, tmp_path / "run", "--probe", "--limit", "20")) == 0
    assert "THESE SCORES MEAN NOTHING" in capsys.readouterr().out
    assert main(["baseline", str(tmp_path / "run"), "-o", str(tmp_path / "baseline.json")]) == 2
    assert "its scores mean nothing" in capsys.readouterr().err


@pytest.mark.parametrize(("in_flight", "contended"), [("8", True), ("1", False)])
def test_a_retrieval_that_waits_beside_other_work_is_marked(
    tmp_path: Path, in_flight: str, contended: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def slow(body: dict[str, Any]) -> Step:
        step = plays()(body)
        return Step(step.status, step.body, before=lambda: time.sleep(0.05))

    backends = ["--backend", "tests.doubles:SlowBackend", "--backend", "bm25", "--max-in-flight", in_flight]
    with Server(answer=slow) as server:
        command = [part for part in _command(server.url, tmp_path / "run") if part not in ("--backend", "full-history")]
        assert main([*command, *backends]) == 0
    marked = {record["backend"] for record in _records(tmp_path / "run") if record["contended"]}
    assert marked == ({"tests.doubles:SlowBackend"} if contended else set())
    assert ("waited while other work of the run" in capsys.readouterr().out) is contended
