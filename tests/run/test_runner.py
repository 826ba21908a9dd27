"""The runner through the command line: records, errors, budget, resumption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from tests.datasets.test_locomo import _RECORD
from tests.run.interrupting import wait_until

_DOUBLES = ["--reader", "tests.doubles:EchoReader", "--judge", "tests.doubles:ContainsJudge"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return _data(tmp_path, 3)


def _data(folder: Path, conversations: int) -> Path:
    """Conversations of four questions each."""
    path = folder / "locomo.json"
    path.write_text(json.dumps([{**_RECORD, "sample_id": f"conv-{i}"} for i in range(conversations)]))
    return path


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory: pytest.TempPathFactory, shared_environment: None) -> Path:  # noqa: ARG001
    """A finished run of three conversations. Do not change it."""
    folder = tmp_path_factory.mktemp("shared")
    run = folder / "run"
    assert _run(_data(folder, 3), run, "--backend", "engram", "--backend", "full-history") == 0
    return run


@pytest.fixture
def finished(shared_run: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(shared_run, tmp_path / "finished")


def _run(data: Path, out: Path, *arguments: str) -> int:
    return main(["run", "--data", str(data), "--out", str(out), *_DOUBLES, *arguments])


def _records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]


def _scores(run: Path) -> list[dict[str, Any]]:
    """Records without what is measured in time, by backend and question."""
    clean = [{key: value for key, value in r.items() if not key.endswith("_s")} for r in _records(run)]
    return sorted(clean, key=lambda r: (r["backend"], r["question_id"]))


def test_a_run_leaves_its_files_and_every_question_of_every_backend(shared_run: Path) -> None:
    run = shared_run
    assert sorted(p.name for p in run.iterdir()) == [
        "contexts.sqlite",
        "manifest.json",
        "records.jsonl",
        "summary.json",
    ]
    records = _records(run)
    assert {(r["backend"], r["question_id"]) for r in records} == {
        (b, f"conv-{c}:q{q}") for b in ("none", "engram", "full-history", "oracle") for c in range(3) for q in range(4)
    }
    summary = json.loads((run / "summary.json").read_text())
    assert summary["complete"]
    assert summary["backends"]["oracle"]["evidence_recall"] == 1.0
    assert summary["backends"]["none"]["evidence_recall"] == 0.0
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["finished"]
    assert manifest["dataset"]["sha256"]
    assert manifest["settings"]["seed"] == 0


def test_what_a_memory_sends_over_the_budget_is_cut_and_counted_as_sent(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "tests.doubles:VerboseBackend", "--budget", "100", "--no-controls") == 0
    assert {(r["context_tokens"], r["cut"], r["truncated"]) for r in _records(run)} == {(100, True, False)}
    assert "sent more than its budget for 12 questions: the end was cut off" in capsys.readouterr().out


def test_errors_are_recorded_reported_and_not_scored(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    code = _run(data, run, "--backend", "bm25", "--reader", "tests.doubles:FussyReader", "--no-controls")
    assert code == 3
    errors = [r for r in _records(run) if r["status"] == "error"]
    assert {r["question"] for r in errors} == {"When was Ann born?"}
    assert all(r["correct"] is None and r["answer"] is None for r in errors)
    assert errors[0]["error"] == "answer: TimeoutError: no answer\nwithin 1 s"
    summary = json.loads((run / "summary.json").read_text())["backends"]["bm25"]
    assert (summary["n"], summary["answered"], summary["errors"]) == (9, 6, 3)
    assert f"engram-eval run --resume {run}" in capsys.readouterr().err


def test_a_memory_that_cannot_open_costs_its_own_questions_only(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "tests.doubles:BrokenBackend", "--backend", "bm25", "--no-controls") == 3
    broken = [r for r in _records(run) if r["backend"] == "tests.doubles:BrokenBackend"]
    assert {r["error"] for r in broken} == {"ingest: ConnectionError: no such host"}
    assert all(r["status"] == "ok" for r in _records(run) if r["backend"] == "bm25")


def test_errored_questions_are_asked_again_on_resume(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "bm25", "--reader", "tests.doubles:FussyReader", "--no-controls") == 3
    from tests import doubles

    monkeypatch.setattr(doubles.FussyReader, "answer", doubles.EchoReader.answer)
    before = len(_records(run))
    assert main(["run", "--resume", str(run)]) == 0
    added = _records(run)[before:]
    assert {r["question"] for r in added} == {"When was Ann born?"}
    assert json.loads((run / "summary.json").read_text())["backends"]["bm25"]["errors"] == 0


@pytest.mark.parametrize("cut", [0, 1, 777, 2500])
def test_a_run_cut_off_anywhere_and_resumed_equals_one_that_was_not(shared_run: Path, finished: Path, cut: int) -> None:
    content = (finished / "records.jsonl").read_bytes()
    (finished / "records.jsonl").write_bytes(content[:cut])
    assert main(["run", "--resume", str(finished)]) == 0
    assert _scores(finished) == _scores(shared_run)


def test_resuming_a_finished_run_asks_nothing(finished: Path) -> None:
    before = (finished / "records.jsonl").read_bytes()
    assert main(["run", "--resume", str(finished)]) == 0
    assert (finished / "records.jsonl").read_bytes() == before


def test_resume_refuses_other_settings_and_other_data(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "bm25", "--no-controls") == 0
    assert main(["run", "--resume", str(run), "--budget", "50"]) == 2
    assert "budget was None and is 50" in capsys.readouterr().err
    assert main(["run", "any.toml", "--resume", str(run)]) == 2
    assert "leave --out and the experiment file out" in capsys.readouterr().err
    data.write_text(data.read_text().replace("adopted a dog", "adopted a fox"))
    assert main(["run", "--resume", str(run)]) == 2
    assert "it would mix two experiments: dataset: sha256 was" in capsys.readouterr().err


def test_data_that_moved_is_the_same_data(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "bm25", "--no-controls") == 0
    moved = data.rename(tmp_path / "moved.json")
    assert main(["run", "--resume", str(run)]) == 2
    assert main(["run", "--resume", str(run), "--data", str(moved)]) == 0


def test_remains_of_a_run_are_not_reused(data: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (finished / "manifest.json").unlink()
    assert _run(data, finished, "--backend", "bm25", "--no-controls") == 2
    assert "holds part of a run without a manifest" in capsys.readouterr().err


def test_an_old_state_of_a_memory_is_not_retrieved_from(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "engram", "--keep-memories", "--no-controls") == 0
    lines = (run / "records.jsonl").read_bytes().splitlines(keepends=True)
    (run / "records.jsonl").write_bytes(lines[0])
    file = next((run / "state" / "engram").rglob("*.sqlite"))
    file.write_bytes(b"stale")
    assert main(["run", "--resume", str(run)]) == 0
    assert all(r["status"] == "ok" for r in _records(run))


def test_degraded_is_engram_with_engrams_settings(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "engram", "--backend", "degraded", "--set", "engram.k=3") == 0
    backends = json.loads((run / "manifest.json").read_text())["backends"]
    assert backends["degraded"]["settings"] == backends["engram"]["settings"]
    assert backends["degraded"]["control"]


def test_turns_that_were_cut_off_were_not_retrieved(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "tests.doubles:VerboseBackend", "--budget", "100", "--no-controls") == 0
    assert {tuple(r["retrieved"]) for r in _records(run)} == {()}


@pytest.mark.parametrize(
    ("budget", "turns", "sessions"), [("100", ["D2:5", "D1:2", "D1:1"], ["D2", "D1"]), ("20", ["D1:2", "D1:1"], ["D1"])]
)
def test_sessions_rank_where_their_best_turn_does_if_it_was_sent(
    data: Path, tmp_path: Path, budget: str, turns: list[str], sessions: list[str]
) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "tests.doubles:LumpingBackend", "--budget", budget, "--no-controls") == 0
    for record in _records(run):
        assert (record["retrieved"], record["retrieved_sessions"]) == (turns, sessions)
    evidence_sessions = {record["question_id"][-2:]: record["evidence_sessions"] for record in _records(run)}
    assert evidence_sessions == {"q0": ["D1"], "q1": ["D2", "D1"], "q2": ["D1"], "q3": []}


def test_a_memory_that_cancels_itself_is_an_error_like_any_other(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "tests.doubles:CancellingBackend", "--no-controls") == 3
    assert {r["error"] for r in _records(run)} == {"ingest: CancelledError: "}


def test_times_are_those_of_the_stage_that_took_them(data: Path, tmp_path: Path) -> None:
    for run in (tmp_path / "cold", tmp_path / "warm"):
        assert _run(data, run, "--backend", "tests.doubles:SlowBackend", "--backend", "none") == 0
        for record in _records(run):
            if record["backend"] == "tests.doubles:SlowBackend":
                assert record["retrieval_s"] >= 0.02
                assert record["ingest_s"] >= 0.02  # two sessions of 10 ms
            assert record["answer_s"] > 0
            assert record["judge_s"] > 0


@pytest.mark.parametrize(
    ("returns", "error"),
    [
        ("nothing", "retrieve: TypeError: retrieve returned NoneType, not a Context with a text or a list of hits"),
        ("text", "retrieve: TypeError: retrieve returned str, not a Context with a text or a list of hits"),
        ("unknown", "retrieve: ValueError: retrieve named turn 'doc3', which this conversation does not have"),
        ("string", "retrieve: TypeError: an item of the context is no Item with a tuple of turn ids"),
    ],
)
def test_a_value_that_is_not_a_context_is_refused_and_reported(
    data: Path, tmp_path: Path, returns: str, error: str
) -> None:
    backend = ["--backend", "tests.doubles:OddBackend", "--set", f"OddBackend.returns={returns}"]
    assert _run(data, tmp_path / "run", *backend, "--no-controls", "--limit", "1") == 3
    assert [r["error"] for r in _records(tmp_path / "run")] == [error]


def test_a_memory_that_names_no_turns_has_no_ranking(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "tests.doubles:OddBackend", "--set", "OddBackend.returns=plain") == 0
    summary = json.loads((run / "summary.json").read_text())["backends"]["tests.doubles:OddBackend"]
    assert summary["ndcg@10"] is None
    assert "names no turns" in capsys.readouterr().out


def test_names_that_no_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / "b\udcffd.json"
    try:
        path.write_text(json.dumps([{**_RECORD, "sample_id": "會" * 100}]))
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    run = tmp_path / "run"
    assert _run(path, run, "--backend", "engram") == 0
    assert json.loads((run / "manifest.json").read_bytes())["dataset"]["questions"] == 4


def test_only_categories_outside_the_headline(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(data, tmp_path / "run", "--backend", "bm25", "--categories", "5") == 0
    assert "accuracy and F1 over adversarial)" in capsys.readouterr().out


def test_data_that_the_variable_names_is_used_or_reported_as_missing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENGRAM_EVAL_DATA", str(data))
    assert main(["run", "--dry-run", *_DOUBLES]) == 0
    assert str(data) in capsys.readouterr().err
    monkeypatch.setenv("ENGRAM_EVAL_DATA", str(tmp_path / "gone"))
    assert main(["run", "--dry-run", *_DOUBLES]) == 2
    assert "ENGRAM_EVAL_DATA names it and it does not exist" in capsys.readouterr().err


def test_a_closed_output_pipe_is_no_error(shared_run: Path) -> None:
    command = f"{sys.executable} -m engram_eval compare {shared_run} | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (ended.returncode, ended.stderr) == (0, "")


_SLOW = ["--backend", "engram", "--backend", "tests.doubles:SlowBackend", "--no-controls"]
_CONVERSATIONS = 16  # of about 0.1 s each, most of it asleep


def _begun(data: Path, out: Path) -> subprocess.Popen[str]:
    """A run in a process of its own that has answered some questions and has most before it."""
    command = [sys.executable, "-m", "engram_eval", "run", "--data", str(data), "--out", str(out), *_DOUBLES, *_SLOW]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    records = out / "records.jsonl"
    wait_until(lambda: records.exists() and records.stat().st_size > 10_000)
    return process


def test_kill_9_in_the_middle_and_resume(tmp_path: Path) -> None:
    data = _data(tmp_path, _CONVERSATIONS)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = _begun(data, killed)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = len(_records_whole(killed / "records.jsonl"))
    assert 0 < kept < _CONVERSATIONS * 4 * 2
    assert main(["run", "--resume", str(killed)]) == 0
    assert len(_records(killed)) == _CONVERSATIONS * 4 * 2  # none was asked twice
    at_once = [f"SlowBackend.{step}=0" for step in ("ingest_s", "retrieval_s")]
    assert _run(data, whole, *_SLOW, *(flag for setting in at_once for flag in ("--set", setting))) == 0
    assert _scores(killed) == _scores(whole)


def _records_whole(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def test_ctrl_c_leaves_a_resumable_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = _begun(_data(tmp_path, _CONVERSATIONS), run)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted; finish it with: engram-eval run --resume {run}" in err
    assert "Traceback" not in err
    assert not json.loads((run / "summary.json").read_text())["complete"]


def test_a_limit_is_a_sample_that_grows(data: Path, tmp_path: Path) -> None:
    asked = []
    for limit in (3, 5):
        run = tmp_path / str(limit)
        assert _run(data, run, "--backend", "bm25", "--no-controls", "--limit", str(limit)) == 0
        asked.append({r["question_id"] for r in _records(run)})
    assert len(asked[0]) == 3
    assert asked[0] < asked[1]


def test_categories_by_number_and_by_name(data: Path, tmp_path: Path) -> None:
    assert _run(data, tmp_path / "a", "--backend", "bm25", "--no-controls", "--categories", "4,temporal") == 0
    assert {r["category"] for r in _records(tmp_path / "a")} == {"single-hop", "temporal"}


def test_settings_reach_a_backend_and_the_manifest(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "engram", "--no-controls", "--set", "engram.k=7") == 0
    assert json.loads((run / "manifest.json").read_text())["backends"]["engram"]["settings"]["k"] == 7


def test_memories_are_kept_only_when_asked_for(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run(data, run, "--backend", "engram", "--keep-memories", "--no-controls") == 0
    assert len(list((run / "state" / "engram").rglob("*.sqlite"))) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--backend", "nope"], "there is no backend 'nope'; name one of engram, full-history"),
        (["--backend", "engram:nope"], "there is no preset 'nope'; its presets are dense"),
        (["--backend", "no.such.module:Thing"], "cannot be imported"),
        (
            ["--set", "engram.nope=1"],
            "has no setting 'nope'; its settings are lexical, coverage, dense,",
        ),
        (["--set", "engram.k=many"], "'many' is not a whole number"),
        (["--set", "engram.ranker=best"], "'best' is not one of hybrid, dense"),
        (["--set", "engram.k=0"], "k and total must be at least 1"),
        (["--set", "engram.speaker=nan"], "weights must be finite"),
        (["--set", "dataset.conversations=3"], "locomo is read from a file and has no settings"),
        (["--seed", "-1"], "'seed' is -1, not 0 or more"),
        (["--categories", ","], "categories is empty"),
        (["--backend", "json:dumps"], "cannot be made"),
        (["--backend", "os:getcwd"], "has no method 'open'"),
        (["--backend", "tests.broken_module:A"], "cannot be imported (ZeroDivisionError"),
        (["--set", "nothing.k=1"], "names none of ContainsJudge, EchoReader, bm25, dataset, dense, engram"),
        (["--set", "engram"], "not of the form NAME.KEY=VALUE"),
        (["--reader", "nope"], "there is no reader 'nope'"),
        (["--embedder", "nope"], "there is no embedder 'nope'"),
        (["--encoding", "nope"], "token encoding 'nope' is unknown"),
        (["--categories", "9"], "has no category '9'; it has 1 multi-hop"),
        (["--dataset", "nope"], "there is no dataset 'nope'"),
        (["--dataset", "longmemeval_s"], "record 0: 'question_id' is missing"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    data: Path, tmp_path: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(data, tmp_path / "run", *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_experiment_file_and_flags_over_it(data: Path, tmp_path: Path) -> None:
    toml = tmp_path / "mine.toml"
    toml.write_text(
        f'data = "{data.name}"\nbackends = ["engram"]\nbudget = 77\nlimit = 2\n[options]\nengram.k = 5\nengram.total = 9\n'
    )
    run = tmp_path / "run"
    assert main(["run", str(toml), "--out", str(run), "--limit", "3", "--set", "engram.k=6", *_DOUBLES]) == 0
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["budget"], manifest["settings"]["limit"]) == (77, 3)
    assert manifest["backends"]["engram"]["settings"].items() >= {"ranker": "hybrid", "k": 6, "total": 9}.items()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("budgets = 5", "there is no setting 'budgets'; the settings are dataset, data"),
        ('budget = "5"', "'budget' is '5', not a whole number"),
        ("budget = 0", "'budget' is 0, not 1 or more"),
        ("budget = true", "'budget' is true, not a whole number"),
        ("backends = []\ncontrols = false", "backends is empty"),
        ("budget = ", "not TOML"),
    ],
)
def test_a_faulty_experiment_file_is_named(
    tmp_path: Path, text: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = tmp_path / "mine.toml"
    toml.write_text(text)
    assert main(["run", str(toml)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert str(toml) in error


def test_dry_run_asks_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(data, tmp_path / "run", "--dry-run") == 0
    assert not (tmp_path / "run").exists()
    assert "Nothing was asked" in capsys.readouterr().out


def test_settings_reach_a_third_partys_memory(data: Path, tmp_path: Path) -> None:
    label = "tests.doubles:VerboseBackend"
    settings = [
        "--set",
        "VerboseBackend.words=3",
        "--set",
        "tests.doubles:VerboseBackend.loud=true",
        "--set",
        "VerboseBackend.weight=2",
    ]
    assert _run(data, tmp_path / "run", "--backend", label, "--no-controls", *settings) == 0
    kept = json.loads((tmp_path / "run" / "manifest.json").read_text())["backends"][label]["settings"]
    assert kept == {"words": 3, "loud": True, "weight": 2.0}
