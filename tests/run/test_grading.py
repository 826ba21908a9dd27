"""Answers made elsewhere, graded through the command line: coverage, records, resumption, and whatever a file may hold."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram_eval.cli import main as cli
from engram_eval.compare.comparison import compare
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.errors import UserError
from engram_eval.results.folder import RunFolder
from engram_eval.run.answer_file import read_answers
from tests.datasets.test_locomo import _RECORD
from tests.datasets.test_longmemeval import _RECORD as _LONGMEMEVAL
from tests.llm.server import Server, Step, refuses, says, together
from tests.run.interrupting import interrupt_three_calls

_QUESTIONS = [f"conv-{c}:q{q}" for c in range(3) for q in range(4)]
_GOLD = ["a dog", "1990", "that is not mentioned", "pets"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three conversations of four questions each, in words of their own: else the cache would answer for the second."""
    path = tmp_path / "locomo.json"
    text = json.dumps(_RECORD)
    records = (
        text.replace("conv-7", f"conv-{i}").replace("did ", f"did {i} ").replace("Ann born", f"Ann {i} born")
        for i in range(3)
    )
    path.write_text(f"[{', '.join(records)}]")
    return path


def _answers(tmp_path: Path, *lines: Any, name: str = "answers.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def _all(**values: Any) -> list[dict[str, Any]]:
    return [{"question_id": q, "answer": _GOLD[i % 4], **values} for i, q in enumerate(_QUESTIONS)]


def _judge(answers: Path, data: Path, out: Path, *arguments: str) -> int:
    return cli.main(["judge", str(answers), "--data", str(data), "--out", str(out), *arguments])


def _records(run: Path) -> dict[str, dict[str, Any]]:
    return {r["question_id"]: r for r in map(json.loads, (run / "records.jsonl").read_text().splitlines())}


def test_answers_become_a_run_like_any_other(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert _judge(_answers(tmp_path, *_all()), data, run) == 0
    assert sorted(p.name for p in run.iterdir()) == [
        "contexts.sqlite",
        "manifest.json",
        "records.jsonl",
        "summary.json",
    ]
    records = _records(run)
    assert list(records) == _QUESTIONS
    assert all(r["correct"] and r["status"] == "ok" and r["backend"] == "answers" for r in records.values())
    assert records["conv-0:q0"]["f1"] == 1.0
    assert {r["context_tokens"] for r in records.values()} == {None}
    manifest = json.loads((run / "manifest.json").read_text())
    assert {k: manifest["reader"][k] for k in ("name", "model", "window")} == {
        "name": "recorded",
        "model": "unknown",
        "window": None,
    }
    assert manifest["finished"]
    assert manifest["usage"] == {}
    out, err = capsys.readouterr()
    assert "12 of 12 questions answered" in err
    assert "the answers were made elsewhere, from contexts whose limit is unknown" in out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["complete"]
    assert summary["backends"]["answers"]["ingest_s"] == {"total": None}


def test_it_is_compared_with_other_runs(data: Path, tmp_path: Path) -> None:
    assert _judge(_answers(tmp_path, *_all()), data, tmp_path / "mine", "--name", "mine") == 0
    ours = ["run", "--data", str(data), "--backend", "bm25", "--reader", "offline", "--judge", "offline"]
    assert cli.main([*ours, "--out", str(tmp_path / "ours")]) == 0
    folders = [RunFolder(tmp_path / "mine"), RunFolder(tmp_path / "ours")]
    with pytest.raises(UserError, match="reader"):
        compare(folders)
    result = compare(folders, allow_different=True)
    assert [row.name for row in result.rows] == ["mine (mine)", "none (ours)", "bm25 (ours)", "oracle (ours)"]


def test_a_question_without_an_answer_is_an_error_and_not_wrong(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    answers = _answers(tmp_path, *_all()[4:])
    assert _judge(answers, data, run) == 3
    records = _records(run)
    assert len(records) == 12
    assert {records[q]["error"] for q in _QUESTIONS[:4]} == {f"no answer in {answers}"}
    assert records["conv-0:q0"]["correct"] is None
    summary = json.loads((run / "summary.json").read_text())["backends"]["answers"]
    assert (summary["accuracy"], summary["errors"], summary["answered"]) == (1.0, 4, 6)
    err = capsys.readouterr().err
    assert "8 of 12 questions answered" in err
    assert "no answer to 4 (conv-0:q0, conv-0:q1, conv-0:q2 …): recorded as errors, not as wrong" in err
    assert "no answer to 4 questions" in err


def test_an_empty_answer_is_an_answer(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _judge(_answers(tmp_path, *[{**line, "answer": ""} for line in _all()]), data, run) == 0
    assert {r["correct"] for r in _records(run).values()} == {False}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: holds no answer"),
        (["[1]"], "line 1: expected an object, found a list"),
        (["{"], "line 1, column 2: not JSON"),
        ([{"question_id": "conv-0:q0"}], "line 1: has no 'hypothesis' and no 'answer'; leave out the line"),
        ([{"question_id": "conv-0:q0", "answer": None}], "line 1: 'answer' is null; leave out the line"),
        ([{"question_id": "conv-0:q0", "hypothesis": None, "answer": "a dog"}], "line 1: 'hypothesis' is null; leave"),
        ([{"question_id": "conv-0:q0", "prediction": None, "response": "x"}], "line 1: 'prediction' is null; leave"),
        (
            [{"question_id": "conv-0:q0", "prediction": "x", "response": "y"}],
            "line 1: 'response' and 'prediction' differ; leave in the one",
        ),
        (
            [{"question_id": "conv-0:q0", "response": "x", "answer": "a dog"}, {"question_id": "conv-0:q1", "answer": 1990}],
            "line 2: has only 'answer', which is the gold on other lines (line 1); leave the line out",
        ),
        ([{"answer": "x"}], "line 1: 'question_id' is missing"),
        ([{"question_id": "conv-0:q0", "answer": ["x"]}], "line 1.answer: expected text or a number, found a list"),
        (
            [{"question_id": "q", "answer": "x"}, "", {"question_id": "q", "answer": "y"}],
            "line 3: 'q' is answered a second time, first in line 1; leave one of the two lines out",
        ),
        (
            [{"question_id": "conv-0:q0", "answer": "x"}, {"question_id": "b", "answer": "x"},
             {"question_id": "c", "answer": "x"}],
            "line 2: locomo has no question 'b', nor 1 other of the answers",
        ),
    ],
)  # fmt: skip
def test_each_fault_of_a_file_is_one_sentence_with_its_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], message: str
) -> None:
    answers = _answers(tmp_path, *lines)
    assert _judge(answers, data, tmp_path / "run") == 2
    err = capsys.readouterr().err
    assert err.startswith(f"engram-eval: {answers}: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.jsonl", "--dataset", "locomo"], "no.jsonl: cannot be read (there is no such file)"),
        ([".", "--dataset", "locomo"], ".: cannot be read (this is a folder)"),
        (["a\0b", "--dataset", "locomo"], "cannot be read (embedded null byte)"),
        (["a.jsonl"], "name what was answered with --dataset"),
        ([], "no file of answers is given"),
        (["--resume", "nowhere"], "nowhere/manifest.json: cannot be read (there is no such file"),
        (["--resume", "nowhere", "--out", "x"], "leave --out out"),
    ],
)
def test_a_missing_argument_is_reported_with_an_example(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.main(["judge", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_time_and_cost_of_an_answer_are_kept_if_the_file_has_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    optional = {
        "context": "[D1] Ann: I adopted a dog.",
        "prompt_tokens": 120,
        "completion_tokens": 3,
        "cost_usd": 0.001,
        "retrieval_s": 0.5,
        "answer_s": 1,
    }
    lines = _all(**optional)
    lines[1] |= {"context": 7, "cost_usd": float("nan"), "retrieval_s": -1, "prompt_tokens": 1.5, "answer_s": True}
    lines[2] |= {"completion_tokens": "3", "cost_usd": None}
    run = tmp_path / "run"
    assert _judge(_answers(tmp_path, *lines), data, run) == 0
    records = _records(run)
    first, second = records["conv-0:q0"], records["conv-0:q1"]
    assert {key: first[key] for key in optional if key != "context"} == {
        k: v for k, v in optional.items() if k != "context"
    }
    assert first["context_tokens"] > 5
    assert (first["evidence_recall"], first["evidence_all"], first["answer_in_context"]) == (1.0, True, True)
    assert first["retrieved"] == []
    assert {second[k] for k in ("context_tokens", "cost_usd", "retrieval_s", "prompt_tokens", "answer_s")} == {None}
    summary = json.loads((run / "summary.json").read_text())["backends"]["answers"]
    assert summary["latency_s"] == {"mean": 1.5, "p50": 1.5, "p95": 1.5}
    err = capsys.readouterr().err
    assert "cost_usd of 1 line (the first: line 2) is not a number from 0 and is ignored" in err
    assert "completion_tokens of 1 line (the first: line 3) is not a whole number from 0 and is ignored" in err


def test_answers_to_other_categories_are_ignored(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _judge(_answers(tmp_path, *_all()), data, tmp_path / "run", "--categories", "1,5") == 0
    assert list(_records(tmp_path / "run")) == [q for q in _QUESTIONS if q[-1] in "23"]
    assert "6 answers to questions of other categories ignored" in capsys.readouterr().err


def test_longmemevals_official_lines(tmp_path: Path) -> None:
    data = tmp_path / "longmemeval_s.json"
    data.write_text(json.dumps([_LONGMEMEVAL, {**_LONGMEMEVAL, "question_id": "q2"}]))
    lines = [
        {"question_id": "q1_abs", "hypothesis": "That was never mentioned.", "answer": 7},
        {"question_id": "q2", "hypothesis": 7},
    ]
    assert _judge(_answers(tmp_path, *lines), data, tmp_path / "run") == 0
    records = _records(tmp_path / "run")
    assert {q: (r["answer"], r["correct"]) for q, r in records.items()} == {
        "q1_abs": ("That was never mentioned.", True),
        "q2": ("7", True),
    }


@pytest.mark.parametrize("key", ["hypothesis", "response", "prediction", "generated_answer", "model_answer"])
def test_answer_is_the_gold_where_it_is_beside_what_the_system_said(data: Path, tmp_path: Path, key: str) -> None:
    run = tmp_path / "run"
    assert _judge(_answers(tmp_path, *_all(**{key: "a cat in the tree"})), data, run) == 0
    assert {record["answer"] for record in _records(run).values()} == {"a cat in the tree"}


def test_golds_that_are_handed_in_as_answers_are_reported_before_and_after_grading(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golds = [{**line, "answer": f"{line['answer']}.".capitalize()} for line in _all()]
    assert _judge(_answers(tmp_path, *golds), data, tmp_path / "golds") == 0
    out, err = capsys.readouterr()
    warning = "ALL 9 ANSWERS TO ANSWERABLE QUESTIONS EQUAL THEIR GOLDS WORD FOR WORD"
    assert f"WARNING   {warning}" in err
    assert f"answers: {warning}" in " ".join(out.split())
    honest = [{**line, "answer": f"It is {line['answer']}"} for line in _all()]
    assert _judge(_answers(tmp_path, *honest), data, tmp_path / "honest") == 0
    assert "WORD FOR WORD" not in "".join(capsys.readouterr())


def test_resume_judges_missing_answers_and_refuses_another_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, answers = tmp_path / "run", _answers(tmp_path, *_all()[:-1])
    assert _judge(answers, data, run) == 3
    whole = (run / "records.jsonl").read_bytes()
    assert cli.main(["judge", "--resume", str(run)]) == 3
    assert (run / "records.jsonl").read_bytes() == whole
    (run / "records.jsonl").write_bytes(whole[:2000])
    assert cli.main(["judge", str(answers), "--resume", str(run)]) == 3
    assert list(_records(run)) == _QUESTIONS

    def refused(*arguments: str) -> str:
        capsys.readouterr()
        assert cli.main(["judge", *arguments, "--resume", str(run)]) == 2
        return capsys.readouterr().err

    assert "judge was 'offline' and is 'tests.doubles:ContainsJudge'" in refused(
        "--judge", "tests.doubles:ContainsJudge"
    )
    other = _answers(tmp_path, *_all(), name="other.jsonl")
    assert "it would mix two experiments: reader: sha256 was" in refused(str(other))
    assert "backends: " in refused("--name", "another")
    data.write_text(data.read_text().replace("adopted a dog", "adopted a fox"))
    assert "it would mix two experiments: dataset: sha256 was" in refused()


def test_a_run_of_memories_is_not_resumed_as_a_grading(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    ours = [
        "run",
        "--data",
        str(data),
        "--backend",
        "bm25",
        "--reader",
        "offline",
        "--judge",
        "offline",
        "--limit",
        "2",
    ]
    assert cli.main([*ours, "--out", str(run)]) == 0
    assert cli.main(["judge", "--resume", str(run)]) == 2
    assert f"finish it with 'engram-eval run --resume {run}'" in capsys.readouterr().err


def test_gold_answers_of_real_questions_are_right(real_data: Path, tmp_path: Path) -> None:
    file = real_data / "locomo5_dev.json"
    questions = [q for sample in LOCOMO.open(file, {}).samples() for q in sample.questions]
    answers = _answers(tmp_path, *({"question_id": q.id, "answer": q.gold} for q in questions))
    assert _judge(answers, file, tmp_path / "run", "--judge", "offline") == 0
    scores = json.loads((tmp_path / "run" / "summary.json").read_text())["backends"]["answers"]
    assert scores["accuracy"] > 0.99
    assert scores["by_category"]["adversarial"]["accuracy"] > 0.99


# --- a model as judge ---------------------------------------------------------------------------------------------


def _model(body: dict[str, Any], prompt: int = 50) -> Step:
    material = json.loads(body["messages"][1]["content"])
    right = material["gold answer"].lower() in material["answer to grade"].lower()
    return says(
        json.dumps({"reason": "looked", "verdict": "CORRECT" if right else "WRONG"}), prompt=prompt, completion=9
    )


def _by_model(answers: Path, data: Path, out: Path, server: Server, *arguments: str) -> int:
    llm = ["--judge", "llm", "--model", "gpt-4o-mini", "--base-url", server.url]
    return _judge(answers, data, out, *llm, *arguments)


@pytest.mark.usefixtures("key")
def test_calls_of_a_model_overlap_and_a_repeated_run_sends_nothing(data: Path, tmp_path: Path) -> None:
    waits = iter([together(3)] * 3)

    def answer(body: dict[str, Any]) -> Step:
        wait: Callable[[], object] | None = next(waits, None)
        return Step(_model(body).status, _model(body).body, before=wait)

    answers = _answers(tmp_path, *_all(cost_usd=2.0))
    with Server(answer=answer) as server:
        assert _by_model(answers, data, tmp_path / "one", server, "--max-in-flight", "3") == 0
        assert server.most_at_once == 3
        sent = len(server.asked)
        assert _by_model(answers, data, tmp_path / "two", server) == 0
        assert _by_model(answers, data, tmp_path / "replay", server, "--replay") == 0
        assert len(server.asked) == sent
    one, two = _records(tmp_path / "one"), _records(tmp_path / "two")
    assert one == two
    assert all(r["judge"]["cost_usd"] > 0 for r in one.values())
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert manifest["usage"]["judge"]["calls"] == 12
    assert "reader" not in manifest["usage"]
    assert manifest["models"] == {"judge": {"model": "gpt-4o-mini", "endpoint": server.url, "served": []}}
    assert set(manifest["prompts"]) >= {"judge_locomo_standard_v1"}
    assert (tmp_path / "one" / "cache_keys.txt").read_text()


@pytest.mark.usefixtures("key")
def test_an_answer_that_could_not_be_judged_is_kept_and_judged_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(body: dict[str, Any]) -> Step:
        return refuses(400, "no", code="content_filter") if "born" in body["messages"][1]["content"] else _model(body)

    run, answers = tmp_path / "run", _answers(tmp_path, *_all())
    with Server(answer=answer) as server:
        assert _by_model(answers, data, run, server) == 3
        errors = {q: r for q, r in _records(run).items() if r["status"] == "error"}
        assert sorted(errors) == ["conv-0:q1", "conv-1:q1", "conv-2:q1"]
        assert all(r["error"].startswith("judge: ") and r["answer"] == "1990" for r in errors.values())
        assert "3 answers could not be judged, the first (conv-" in capsys.readouterr().err
        server.answer = _model
        before = len(server.asked)
        assert cli.main(["judge", "--resume", str(run)]) == 0
        assert len(server.asked) == before + 3
    assert all(r["status"] == "ok" for r in _records(run).values())


@pytest.mark.usefixtures("key")
def test_the_money_is_for_judging_alone_and_the_run_resumes(data: Path, tmp_path: Path) -> None:
    run, answers = tmp_path / "run", _answers(tmp_path, *_all(cost_usd=9.0))
    with Server(answer=lambda body: _model(body, prompt=5_000)) as server:
        assert _by_model(answers, data, run, server, "--max-cost", "0.004", "--max-in-flight", "1") == 2
        assert 0 < len(server.asked) < 12
        assert cli.main(["judge", "--resume", str(run), "--max-cost", "5"]) == 0
        assert len(server.asked) == 12


@pytest.mark.usefixtures("key")
def test_ctrl_c_leaves_a_run_that_asks_nothing_twice(data: Path, tmp_path: Path) -> None:
    run, answers = tmp_path / "run", _answers(tmp_path, *_all())
    program = "import sys; from engram_eval.cli import main as cli; "
    with Server(answer=_model) as server:
        llm = [
            "--judge",
            "llm",
            "--model",
            "gpt-4o-mini",
            "--base-url",
            server.url,
            "--max-in-flight",
            "3",
        ]
        command = [sys.executable, "-c", f"{program}sys.exit(cli.main(sys.argv[1:]))", "judge", str(answers), *llm]
        env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        err = interrupt_three_calls([*command, "--data", str(data), "--out", str(run)], server, env)
        assert f"judge --resume {run}" in err
        assert 3 <= len(_records(run)) < 12
        assert cli.main(["judge", "--resume", str(run)]) == 0
        assert len(_records(run)) == 12
        sent = [json.dumps(asked.body, sort_keys=True) for asked in server.asked]
        assert len(sent) == len(set(sent)) == 12


# --- whatever a file may hold -------------------------------------------------------------------------------------

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
_FIELDS = (
    "question_id", "hypothesis", "answer", "context", "prompt_tokens", "completion_tokens", "cost_usd", "retrieval_s",
    "answer_s",
)  # fmt: skip
_LINES = st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=6)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | st.lists(_LINES | _VALUES, max_size=4).map(lambda lines: "\n".join(map(json.dumps, lines)).encode())
    | st.integers(0, 90).map(
        lambda end: b'\xef\xbb\xbf{"question_id": "a", "answer": "\\ud800", "cost_usd": 1e999}'[:end]
    )
    | st.sampled_from([b"[" * 100_000, b'{"question_id": ' + b"9" * 5000 + b"}", b"\r\n\r\n", b"\x00"])
)
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(content)
    try:
        assert read_answers(path).by_id
    except UserError as error:
        assert str(error).startswith(f"{path}: line ")
        assert "\n" not in str(error)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_LINES, min_size=12, max_size=12), st.text(max_size=30))
def test_any_field_values_give_a_complete_run(
    tmp_path_factory: pytest.TempPathFactory, data: Path, lines: list[dict[str, Any]], answer: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    own = ({**line, "question_id": q, "hypothesis": answer} for line, q in zip(lines, _QUESTIONS, strict=True))
    assert _judge(_answers(folder, *own), data, folder / "run") == 0
    assert [record.status for record in RunFolder(folder / "run").records()] == ["ok"] * 12
