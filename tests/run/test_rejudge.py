"""The stored answers of a run judged again: nothing else is asked, every judge has a run, and all of it can be resumed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import engram_eval as ee
from engram_eval.cli.main import main
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from tests.datasets.test_locomo import _RECORD
from tests.doubles import ContainsJudge
from tests.llm.server import Server, Step, says
from tests.model import judges, material
from tests.run.interrupting import interrupt_three_calls

pytestmark = pytest.mark.usefixtures("key")

_OF_JUDGE = {"status", "error", "correct", "judge", "judge_s"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "locomo.json"
    text = json.dumps(_RECORD)  # each conversation in words of its own, or the cache would answer for the second
    path.write_text(f"[{', '.join(text.replace('conv-7', f'c{i}').replace('did ', f'did {i} ') for i in range(3))}]")
    return path


@pytest.fixture(scope="module")
def run(data: Path, shared_environment: None) -> Path:  # noqa: ARG001
    """Two memories, read and judged offline: 24 answers. No test changes it."""
    backends = ["--backend", "bm25", "--backend", "full-history", "--no-controls"]
    offline = ["--reader", "offline", "--judge", "offline"]
    assert main(["run", "--data", str(data), *backends, *offline, "--out", str(data.parent / "run")]) == 0
    return data.parent / "run"


def _model(body: dict[str, Any]) -> Step:
    """`big` accepts everything, every other model what has the gold in it."""
    if body["model"] == "big":
        return says(json.dumps({"reason": "fine", "verdict": "CORRECT"}))
    return says(judges(body))


def _rejudge(run: Path, out: Path, server: Server, *arguments: str) -> int:
    model = ["--model", "gpt-4o-mini", "--base-url", server.url]
    return main(["rejudge", str(run), "--out", str(out), *model, *arguments])


def _records(run: Path) -> dict[tuple[str, str], Record]:
    return {record.key: record for record in RunFolder(run).records()}


def test_each_judge_has_a_run_with_the_same_answers_and_its_own_verdicts(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(answer=_model) as server:
        assert (
            _rejudge(run, tmp_path / "out", server, "--judge", "llm", "--judge", "llm@big", "--judge", "offline") == 0
        )
        assert all("gold answer" in material(asked.body) for asked in server.asked)  # no reader was asked
    before = _records(run)
    for name in ("llm", "llm-big", "offline"):
        after = _records(tmp_path / "out" / name)
        assert after.keys() == before.keys()
        for key, record in after.items():
            same = {field for field in Record.model_fields if field not in _OF_JUDGE}
            assert {f: getattr(record, f) for f in same} == {f: getattr(before[key], f) for f in same}
    verdicts = {
        name: {key: record.correct for key, record in _records(tmp_path / "out" / name).items()}
        for name in ("llm", "llm-big", "offline")
    }
    assert verdicts["offline"] == {key: record.correct for key, record in before.items()}
    assert set(verdicts["llm-big"].values()) == {True}
    manifest = RunFolder(tmp_path / "out" / "llm-big").manifest()
    assert (manifest.judge.name, manifest.judge.model) == ("llm", "big")
    assert manifest.reader == RunFolder(run).manifest().reader
    assert manifest.models["judge"].model == "big"
    assert manifest.rejudged_from == str(run)
    flips = [json.loads(line) for line in (tmp_path / "out" / "flips.jsonl").read_text().splitlines()]
    expected = {key for key in before if len({verdicts[name][key] for name in verdicts}) > 1}
    assert {(flip["backend"], flip["question_id"]) for flip in flips} == expected
    out = capsys.readouterr().out
    assert "Agreement of the judges" in out
    assert "llm / llm@big" in out
    assert "(the run's)" not in out  # offline is named, and is the run's own judge


def test_contexts_come_along(run: Path, tmp_path: Path) -> None:
    rejudged = ee.rejudge(run, {"contains": ContainsJudge()}, out=tmp_path / "out")
    folder = RunFolder(rejudged.runs["contains"].folder)
    records = [record for record in folder.records() if record.context]
    assert records
    with folder.contexts() as contexts, RunFolder(run).contexts() as before:
        for record in records:
            assert contexts.get(record.context) == before.get(record.context) is not None
            assert contexts.get(record.evidence_text) == before.get(record.evidence_text)


def test_from_python_judges_are_names_objects_and_settings(run: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "own.txt"
    prompt.write_text("{question} {gold} {answer} yes or no")
    with Server(answer=lambda body: says("yes" if len(body["messages"]) == 1 else judges(body))) as server:
        rejudged = ee.rejudge(
            run,
            {"rules": "llm", "own words": {"judge": "llm", "judge_prompt": prompt}, "mine": ContainsJudge},
            model="gpt-4o-mini",
            base_url=server.url,
            out=tmp_path / "out",
        )
    assert list(rejudged.runs) == ["rules", "own words", "mine"]
    assert list(rejudged.comparison.summaries) == ["offline (the run's)", "rules", "own words", "mine"]
    assert len(rejudged.comparison.pairs) == 6
    assert {record.correct for record in rejudged.runs["own words"].records()} == {True}
    assert rejudged.runs["own words"].manifest.judge.prompt_file == "own.txt"
    assert "own words" in str(rejudged)
    assert "<table>" in rejudged._repr_html_()
    with pytest.raises(ee.UserError, match="differ"):
        ee.compare(rejudged.runs["rules"], rejudged.runs["own words"])


def test_a_second_call_is_free(run: Path, tmp_path: Path) -> None:
    with Server(answer=_model) as server:
        assert _rejudge(run, tmp_path / "one", server, "--judge", "llm") == 0
        sent = len(server.asked)
        assert _rejudge(run, tmp_path / "two", server, "--judge", "llm", "--replay") == 0
        assert len(server.asked) == sent
    assert (tmp_path / "one" / "flips.jsonl").read_text() == (tmp_path / "two" / "flips.jsonl").read_text()


def test_errors_are_not_wrong_answers_and_are_judged_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(answer=lambda body: _model(body) if "0" in material(body)["question"] else Step(400, b"{}")) as server:
        assert _rejudge(run, tmp_path / "out", server, "--judge", "llm") == 3
        failed = [record for record in _records(tmp_path / "out" / "llm").values() if record.status == "error"]
        assert failed
        assert {record.correct for record in failed} == {None}
        assert f"engram-eval rejudge --resume {tmp_path / 'out'}" in capsys.readouterr().err
        server.answer = _model
        assert main(["rejudge", "--resume", str(tmp_path / "out")]) == 0
    assert {record.status for record in _records(tmp_path / "out" / "llm").values()} == {"ok"}


def test_ctrl_c_and_resume_ask_for_nothing_twice(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Server(answer=_model) as server:
        model = ["--model", "gpt-4o-mini", "--base-url", server.url, "--max-in-flight", "3"]
        command = ["rejudge", str(run), "--judge", "llm", "--judge", "llm:strict", "--out", str(out), *model]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        err = interrupt_three_calls([sys.executable, "-m", "engram_eval", *command], server, environment)
        assert f"finish it with: engram-eval rejudge --resume {out}" in err
        assert (out / "llm-strict" / "manifest.json").exists()  # not begun, and not forgotten
        assert main(["rejudge", "--resume", str(out)]) == 0
        sent = [json.dumps(asked.body, sort_keys=True) for asked in server.asked]
    assert len(sent) == len(set(sent))
    assert len(_records(out / "llm-strict")) == len(_records(out / "llm")) == 24


def test_from_python_an_object_finishes_what_an_object_began(run: Path, tmp_path: Path) -> None:
    class Failing(ContainsJudge):
        async def judge(self, question: ee.Question, answer: str) -> ee.Verdict:  # noqa: ARG002
            raise TimeoutError("busy")

    begun = ee.rejudge(run, [Failing()], out=tmp_path / "out")
    assert begun.comparison.errors["contains"] == 24
    assert begun.comparison.pairs[0].agreement.n == 0
    assert str(begun)
    finished = ee.rejudge(resume=tmp_path / "out", judges=[ContainsJudge()])
    assert finished.comparison.errors["contains"] == 0


def test_one_budget_covers_all_judges(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with Server(answer=lambda body: says(judges(body), prompt=100_000)) as server:
        both = ["--judge", "llm", "--judge", "llm:strict"]
        assert _rejudge(run, tmp_path / "whole", server, *both) == 0
        whole = sum(RunFolder(tmp_path / "whole" / name).spent_usd() for name in ("llm", "llm-strict"))
        first = RunFolder(tmp_path / "whole" / "llm").spent_usd()
    monkeypatch.setenv("ENGRAM_EVAL_CACHE", str(tmp_path / "other-cache"))
    with Server(answer=lambda body: says(judges(body), prompt=100_000)) as server:
        budget = first + 0.4 * (whole - first)
        assert _rejudge(run, out, server, *both, "--max-cost", f"{budget:.4f}", "--max-in-flight", "1") == 2
        err = capsys.readouterr().err
        assert "judge llm:strict: the next call could cost" in err
        assert f"the other judges have spent ${first:.4f} of --max-cost" in err
        spent = sum(RunFolder(out / name).spent_usd() for name in ("llm", "llm-strict"))
        assert first < spent <= budget
        assert main(["rejudge", "--resume", str(out), "--max-cost", f"{2 * whole:.4f}"]) == 0
    assert len(_records(out / "llm-strict")) == 24


def test_a_question_without_an_answer_is_left_as_it_is(data: Path, tmp_path: Path) -> None:
    answers = {f"c{i}:q{q}": "a dog" for i in range(3) for q in range(3)}
    graded = ee.grade(answers, data=data, judge="offline", out=tmp_path / "graded")
    rejudged = ee.rejudge(graded, [ContainsJudge()], out=tmp_path / "out")
    records = list(rejudged.runs["contains"].records())
    assert len(records) == 12
    assert {record.question_id[-2:] for record in records if record.status == "error"} == {"q3"}
    assert rejudged.comparison.unanswered == 3
    assert rejudged.comparison.errors == {"offline (the run's)": 0, "contains": 0}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (lambda run: [run], "no judge is named"),
        (lambda run: [run, "--judge", "offline"], "was judged by offline already"),
        (lambda run: [run, "--judge", "offline@x"], "the offline judge has no model"),
        (lambda run: [run, "--judge", "llm@"], "not of the form NAME@MODEL"),
        (lambda run: [run, "--judge", "llm", "--judge", "llm"], "two judges are called 'llm'"),
        (lambda run: [run, "--judge", "llm:wild", "--model", "m"], "locomo has no judge 'wild'"),
        (lambda _: ["--judge", "llm"], "no run is given"),
        (lambda run: ["--resume", run], "the folder of 'engram-eval rejudge'?"),
        (lambda run: ["--resume", run, "--judge", "llm"], "leave the run, --judge"),
        (lambda run: [f"{run}-none", "--judge", "llm"], "the folder of a run?"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(
    run: Path,
    arguments: Callable[[str], list[str]],
    reason: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["rejudge", *arguments(str(run))]) == 2
    assert reason in capsys.readouterr().err.strip().splitlines()[-1]


def test_other_commands_do_not_finish_a_judges_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ee.rejudge(run, [ContainsJudge()], out=tmp_path / "out")
    for command in ("run", "judge"):
        assert main([command, "--resume", str(tmp_path / "out" / "contains")]) == 2
        assert f"engram-eval rejudge --resume {tmp_path / 'out'}" in capsys.readouterr().err
    assert main(["rejudge", str(run), "--judge", "llm", "--model", "m", "--out", str(tmp_path / "out")]) == 2
    assert "holds judged answers already" in capsys.readouterr().err


def test_an_unfinished_run_is_judged_as_far_as_it_went(run: Path, tmp_path: Path) -> None:
    half, empty = tmp_path / "half", tmp_path / "empty"
    for folder, lines in ((half, 10), (empty, 0)):
        folder.mkdir()
        (folder / "manifest.json").write_bytes((run / "manifest.json").read_bytes())
        records = (run / "records.jsonl").read_text().splitlines(keepends=True)
        (folder / "records.jsonl").write_text("".join(records[:lines]))
    rejudged = ee.rejudge(half, [ContainsJudge()], out=tmp_path / "out")
    assert rejudged.comparison.unanswered == 14
    assert rejudged.comparison.pairs[0].agreement.n == 10
    with pytest.raises(ee.UserError, match="has no answer to judge"):
        ee.rejudge(empty, [ContainsJudge()], out=tmp_path / "none")


def test_other_data_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(data.read_text().replace("dog", "cat"))
    with pytest.raises(ee.UserError, match="was run on other data"):
        ee.rejudge(run, [ContainsJudge()], data=other, out=tmp_path / "out")
