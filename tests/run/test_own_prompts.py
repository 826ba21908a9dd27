"""Whole runs with prompts of the user's own: what is sent, how replies are graded, and that unlike prompts stay unlike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import engram_eval as ee
from engram_eval.cli.main import main
from engram_eval.compare.runs import compare
from engram_eval.errors import UserError
from engram_eval.results.folder import RunFolder
from tests.datasets.test_locomo import _RECORD
from tests.datasets.test_longmemeval import _RECORD as _LONGMEMEVAL
from tests.llm.server import Server, Step, says

pytestmark = pytest.mark.usefixtures("key")

_JUDGE = "Is '{answer}' the same as '{gold}' for: {question}\nAnswer yes or no only.\n"
_READER = 'From {context} answer {question} (asked {date}) as {"text": ...}\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([{**_RECORD, "sample_id": "c"}]))
    return path


def _file(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def _replies(judge: str, reader: str = "a dog") -> Callable[[dict[str, Any]], Step]:
    return lambda body: says(judge if "Is '" in body["messages"][-1]["content"] else reader)


def _run(data: Path, out: Path, server: Server, *arguments: str) -> int:
    llm = ["--model", "gpt-4o-mini", "--base-url", server.url, "--backend", "bm25", "--no-controls"]
    return main(["run", "--data", str(data), "--out", str(out), *llm, *arguments])


def test_reader_and_judge_are_sent_the_users_words_and_nothing_else(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, judge = _file(tmp_path, "reader.txt", _READER), _file(tmp_path, "judge.txt", _JUDGE)
    with Server(answer=_replies("Yes.", "{gold} a dog")) as server:
        own = ["--reader-prompt", str(reader), "--judge-prompt", str(judge)]
        assert _run(data, tmp_path / "run", server, *own) == 0
        bodies = [asked.body for asked in server.asked]
    assert all(len(body["messages"]) == 1 and "response_format" not in body for body in bodies)
    texts = [body["messages"][0]["content"] for body in bodies]
    read = next(text for text in texts if text.startswith("From "))
    assert read.endswith('(asked unknown) as {"text": ...}')
    judged = next(text for text in texts if text.startswith("Is "))
    assert judged.startswith("Is '{gold} a dog' the same as '")
    assert judged.endswith("\nAnswer yes or no only.")
    records = list(RunFolder(tmp_path / "run").records())
    assert all(record.correct and record.judge and record.judge.reason == "Yes." for record in records)
    manifest = RunFolder(tmp_path / "run").manifest()
    assert (manifest.reader.prompt_file, manifest.judge.prompt_file) == ("reader.txt", "judge.txt")
    assert set(manifest.prompts) == {"reader_own", "judge_own"}
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "Reader: llm (gpt-4o-mini), prompt reader.txt (own). Judge: llm (gpt-4o-mini), prompt judge.txt (own)." in out
    )


def test_a_reply_that_is_no_verdict_is_an_error_and_not_a_wrong_answer(data: Path, tmp_path: Path) -> None:
    judge = _file(tmp_path, "judge.txt", _JUDGE)
    with Server(answer=_replies("I think that it is right.")) as server:
        assert _run(data, tmp_path / "run", server, "--reader", "offline", "--judge-prompt", str(judge)) == 3
    records = list(RunFolder(tmp_path / "run").records())
    assert {(record.status, record.correct) for record in records} == {("error", None)}
    assert all("I think that it is right." in (record.error or "") for record in records)


def test_a_label_is_asked_for_as_json(data: Path, tmp_path: Path) -> None:
    judge = _file(tmp_path, "judge.toml", f'reply = "label"\nuser = """{_JUDGE}"""\n')
    with Server(answer=_replies('{"why": "no dog", "label": "WRONG"}')) as server:
        assert _run(data, tmp_path / "run", server, "--reader", "offline", "--judge-prompt", str(judge)) == 0
        formats = [asked.body["response_format"]["json_schema"]["schema"] for asked in server.asked]
    assert {tuple(schema["properties"]) for schema in formats} == {("label",)}
    assert {record.correct for record in RunFolder(tmp_path / "run").records()} == {False}


def test_each_question_type_is_graded_in_its_own_words(tmp_path: Path) -> None:
    """As the official script grades: words of a type's own, others for a question that cannot be answered, yes or no."""
    path = tmp_path / "longmemeval_oracle.json"
    path.write_text(json.dumps([{**_LONGMEMEVAL, "question_id": name} for name in ("q", "q_abs")]))
    kind = _LONGMEMEVAL["question_type"]
    places = "{question} / {gold} / {answer}"
    prompt = _file(
        tmp_path,
        "official.toml",
        f'user = "Other {places}"\n[category."{kind}"]\nuser = "Type {places}"\n[unanswerable]\nuser = "Abs {places}"',
    )
    with Server(answer=lambda body: says("no" if "Abs" in body["messages"][0]["content"] else "yes")) as server:
        answers = {"q": "a", "q_abs": "b"}
        run = ee.grade(
            answers, data=path, judge="llm", model="m", base_url=server.url, judge_prompt=prompt, out=tmp_path / "run"
        )
        sent = sorted(asked.body["messages"][0]["content"].split()[0] for asked in server.asked)
    assert sent == ["Abs", "Type"]
    assert {record.unanswerable: record.correct for record in run.records()} == {False: True, True: False}


def test_runs_with_unlike_prompts_are_unlike(data: Path, tmp_path: Path) -> None:
    one, other = _file(tmp_path, "one.txt", _JUDGE), _file(tmp_path, "two.txt", f"{_JUDGE} Be strict.")
    renamed = _file(tmp_path, "renamed.txt", _JUDGE)
    with Server(answer=_replies("yes")) as server:
        for name, file in (("one", one), ("two", other), ("same", renamed)):
            options = ["--reader", "offline", "--judge-prompt", str(file)]
            assert _run(data, tmp_path / name, server, *options) == 0
        one.write_text(f"{_JUDGE} Changed.")
        with pytest.raises(UserError, match="prompts: judge_own was"):
            ee.evaluate(resume=tmp_path / "one")
        ee.evaluate(resume=tmp_path / "one", judge_prompt=renamed)  # the same words, elsewhere
    with pytest.raises(UserError, match="judge's set of prompts differs"):
        compare(tmp_path / "one", tmp_path / "two")
    compare(tmp_path / "one", tmp_path / "same")
    assert main(["baseline", str(tmp_path / "one"), "-o", str(tmp_path / "baseline.json")]) == 0
    assert main(["check", str(tmp_path / "same"), "--baseline", str(tmp_path / "baseline.json")]) == 0
    assert main(["check", str(tmp_path / "two"), "--baseline", str(tmp_path / "baseline.json")]) == 2


def test_agree_measures_a_prompt_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge = _file(tmp_path, "judge.txt", _JUDGE)
    line = {"question_id": "q", "question": "Who?", "gold": "Ann", "answer": "Ann {gold}", "correct": True}
    verdicts = _file(tmp_path, "verdicts.jsonl", json.dumps(line))
    with Server(answer=lambda _: says("no")) as server:
        model = ["--judge", "llm", "--model", "m", "--base-url", server.url, "--judge-prompt", str(judge)]
        assert main(["agree", str(verdicts), *model]) == 0
        (text,) = [asked.body["messages"][0]["content"] for asked in server.asked if asked.body]
    assert text == "Is 'Ann {gold}' the same as 'Ann' for: Who?\nAnswer yes or no only."
    assert "Disagreements" in capsys.readouterr().out


def test_an_experiment_file_names_prompts_beside_itself(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    folder.mkdir()
    _file(folder, "judge.txt", _JUDGE)
    experiment = _file(folder, "mine.toml", 'judge_prompt = "judge.txt"\nreader = "offline"\n')
    with Server(answer=_replies("yes")) as server:
        assert _run(data, tmp_path / "run", server, str(experiment)) == 0
    assert RunFolder(tmp_path / "run").manifest().judge.prompt_file == "judge.txt"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--judge", "offline", "--reader", "offline"], "the judge offline takes no prompt; name --judge llm"),
        (["--judge", "llm:strict", "--reader", "offline"], "--judge-prompt replaces the rules"),
    ],
)
def test_a_prompt_is_refused_where_nothing_would_send_it(
    data: Path, tmp_path: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = _file(tmp_path, "judge.txt", _JUDGE)
    with Server() as server:
        assert _run(data, tmp_path / "run", server, *options, "--judge-prompt", str(judge)) == 2
        assert not [asked for asked in server.asked if "chat" in asked.path]
    assert reason in capsys.readouterr().err


def test_a_dry_run_counts_the_users_prompt(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = []
    for words in ("", "and be strict " * 100):
        judge = _file(tmp_path, "judge.txt", words + _JUDGE)
        with Server() as server:
            assert (
                _run(data, tmp_path / "run", server, "--reader", "offline", "--judge-prompt", str(judge), "--dry-run")
                == 0
            )
        out = capsys.readouterr().out
        row = next(line for line in out.splitlines() if "bm25" in line)
        figures.append(int(row.split()[3].replace(",", "")))
    assert figures[1] > figures[0] + 1000
