"""Baseline files: written the same way every time, and refused if anything is missing or wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engram_eval.errors import UserError
from engram_eval.gate import baseline_json, read_baseline, scores
from engram_eval.results.folder import RunFolder
from tests.gate.runs import QUESTIONS, command, records, run_check, write_run
from tests.records import changed


def test_a_baseline_is_the_same_bytes_for_the_same_answers_however_long_they_took(base: Path) -> None:
    slower = [changed(item, retrieval_s=9.0, ingest_s=7.0) for item in reversed(records())]
    assert command("baseline", str(write_run(slower)), "-o", "again.json") == 0
    assert Path("again.json").read_bytes() == base.read_bytes()


def test_a_baseline_has_one_line_per_question_of_each_memory_and_no_controls(base: Path) -> None:
    text = base.read_text("utf-8")
    values = json.loads(text)
    assert list(values["backends"]) == ["engram", "full-history"]
    assert values["columns"] == [
        "accuracy", "evidence_recall", "evidence_all", "ndcg@10", "answer_in_context", "context_tokens", "cost_usd",
    ]  # fmt: skip
    assert '"c0:q0": [1, 1, 1, 1, 1, 900, 0.0001],' in text.splitlines()
    assert '"c0:q9": [1, null, null, null, null, 904, 0.0002],' in text.splitlines()  # its evidence misleads
    assert '"c0:q0": [1, 1, 1, null, 1, 16000, 0.0001],' in text.splitlines()  # the full history does not rank
    assert len(text.splitlines()) < 3 * QUESTIONS + 40


def test_a_baseline_is_the_same_bytes_when_it_is_read_and_written_again(base: Path) -> None:
    run_scores = scores(RunFolder(Path("before")), controls=False, latency=False)
    baseline = read_baseline(base)
    assert (baseline.lines, baseline.questions) == (run_scores.lines, run_scores.questions)
    assert baseline.experiment == run_scores.experiment
    assert baseline_json(baseline) == base.read_bytes()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "base.json: column 2: not JSON"),
        (b"\xff", "base.json: byte 1 is not UTF-8"),
        (b"[]", "base.json: the value is a list, not an object"),
        (b'{"format": 2}', "base.json: 'engram_eval' is missing"),
        (
            b'{"format": 2, "engram_eval": "0", "experiment": {}, "columns": [], "questions": {}, "backends": {}}',
            "base.json: does not say what was measured",
        ),
    ],
)
def test_a_file_that_is_not_a_baseline_is_refused(base: Path, content: bytes, sentence: str) -> None:
    base.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        read_baseline(base)
    assert str(refusal.value).startswith(sentence)
    assert str(refusal.value).endswith("; write it again with 'engram-eval baseline RUN -o FILE'")


def test_a_baseline_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match=r"nowhere\.json: cannot be read \(there is no such file\)"):
        read_baseline(Path("nowhere.json"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda b: b["backends"]["engram"]["lines"].pop("c0:q0"), "engram has 59 of 60 questions"),
        (lambda b: b["backends"]["engram"]["lines"].update({"c0:q0": [1]}), "engram has 1 scores for 7 columns at c0:q0"),
        (
            lambda b: b["backends"]["engram"]["lines"].update({"c0:q0": ["1"] * 7}),
            r"'backends\.engram\.lines\.\"c0:q0\"\[0\]' is '1', not a",
        ),
        (
            lambda b: b["backends"]["engram"]["lines"].update({"c0:q0": [7, 1, 1, 1, 1, 900, 0]}),
            "the accuracy of engram at c0:q0 is 7",
        ),
        (
            lambda b: b["backends"]["engram"]["lines"].update({"c0:q0": [1, 1, 1, 1, 1, -900, 0]}),
            "the context_tokens of engram at c0:q0 is -900",
        ),
        (
            lambda b: b["backends"]["engram"].update(lines=dict.fromkeys(b["backends"]["engram"]["lines"])),
            "engram has no answered question",
        ),
        (lambda b: b.update(backends={}), "holds no scores"),
        (lambda b: b["experiment"].clear(), "does not say what was measured"),
    ],
)  # fmt: skip
def test_a_baseline_that_was_cut_or_edited_never_lets_a_run_pass(
    base: Path, change: Callable[[Any], Any], sentence: str
) -> None:
    values = json.loads(base.read_text("utf-8"))
    change(values)
    base.write_text(json.dumps(values), "utf-8")
    with pytest.raises(UserError, match=sentence):
        run_check(run="before")


def test_a_baseline_without_a_part_of_its_experiment_never_lets_a_run_pass(base: Path) -> None:
    values = json.loads(base.read_text("utf-8"))
    experiment = values["experiment"]
    for part in experiment:
        without = {name: value for name, value in experiment.items() if name != part}
        base.write_text(json.dumps({**values, "experiment": without}))
        with pytest.raises(UserError, match="does not say what was measured"):
            run_check(run="before")
    base.write_text(json.dumps({**values, "experiment": {**experiment, "judge": None}}))
    with pytest.raises(UserError, match="the judge differs"):
        run_check(run="before")
    base.write_text(json.dumps(values))
    assert run_check(run="before") == 0


def test_a_baseline_that_cannot_be_written_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"base\.json: cannot be written .*; name another file"):
        command("baseline", "before", "-o", "base.json/x.json")
