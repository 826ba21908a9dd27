"""Why an answer is wrong, on records made by hand; and the commands that lead down to a single question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval.cli.main import main
from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import FailureStage, LabelErrors, failure_stage, read_label_errors
from engram_eval.metrics.summary import summarise
from engram_eval.results.record import Record
from tests.datasets.test_locomo import _RECORD
from tests.records import failed, manifest, record


def _wrong(**values: Any) -> Record:
    common = {"correct": False, "f1": 0.0, "evidence": ["D1:1", "D1:2"], "evidence_stored": ["D1:1", "D1:2"]}
    return record(**{**common, "evidence_found": [], "judge": {"name": "offline", "votes": [False]}, **values})


@pytest.mark.parametrize(
    ("values", "stage"),
    [
        ({"evidence_stored": ["D1:1"], "evidence_found": ["D1:1"]}, FailureStage.NOT_STORED),
        ({"evidence_found": ["D1:1"]}, FailureStage.NOT_RETRIEVED),
        ({"evidence_truncated": ["D1:1"]}, FailureStage.NOT_RETRIEVED),  # the other was not retrieved at all
        ({"evidence_found": ["D1:1"], "evidence_truncated": ["D1:2"]}, FailureStage.CUT),
        ({"evidence_found": ["D1:1", "D1:2"]}, FailureStage.NOT_USED),
        ({"evidence": [], "answer_in_context": True}, FailureStage.NOT_USED),
        ({"evidence": [], "answer_in_context": False}, FailureStage.NOT_RETRIEVED),
        ({"unanswerable": True}, FailureStage.NOT_ABSTAINED),
        ({"judge": {"name": "llm", "votes": [False, True, False]}}, FailureStage.IN_DOUBT),
        ({"f1": 0.9}, FailureStage.IN_DOUBT),
        ({"unanswerable": True, "f1": 1.0}, FailureStage.NOT_ABSTAINED),
        ({"correct": True}, None),
    ],
)
def test_the_first_stage_that_lost_evidence_counts(values: dict[str, Any], stage: FailureStage | None) -> None:
    assert failure_stage(_wrong(**values)) == stage


def test_an_error_has_no_stage_and_a_label_error_is_in_doubt() -> None:
    assert failure_stage(failed()) is None
    known = LabelErrors(Path("x"), {"q": "the date is another"})
    assert failure_stage(_wrong(question_id="q", evidence_stored=[]), known) == FailureStage.IN_DOUBT
    assert failure_stage(_wrong(question_id="p", evidence_stored=[]), known) == FailureStage.NOT_STORED


@given(st.lists(st.sampled_from(["a", "b", "c"]), unique=True), st.data())
def test_every_wrong_answer_has_one_stage(evidence: list[str], data: st.DataObject) -> None:
    some = st.lists(st.sampled_from(evidence), unique=True) if evidence else st.just([])
    stored = data.draw(some)
    evidence_found = [turn for turn in data.draw(some) if turn in stored]
    item = _wrong(
        evidence=evidence, evidence_stored=stored, evidence_found=evidence_found, evidence_truncated=data.draw(some)
    )
    assert failure_stage(item) is not None


def test_the_summary_counts_failures_over_the_headline() -> None:
    records = [_wrong(question_id="1"), _wrong(question_id="2", category="adversarial"), record(question_id="3")]
    stages = summarise(records, manifest()).backends["engram"].failure_stages
    assert stages == {str(stage): int(stage == FailureStage.NOT_RETRIEVED) for stage in FailureStage}


def test_label_errors_are_read_without_errors_of_citation(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    entries = [
        {"question_id": "a", "reason": "wrong year"},
        {"question_id": "b", "error_type": "WRONG_CITATION"},
        {"question_id": "c", "error_type": "HALLUCINATION"},
    ]
    path.write_text(json.dumps(entries))
    assert read_label_errors(path).reasons == {"a": "wrong year", "c": "HALLUCINATION"}


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(max_size=5), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_are_read_or_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("known") / "known.json"
    path.write_bytes(content)
    try:
        read_label_errors(path)
    except UserError as error:
        assert str(path) in str(error)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    data = tmp_path / "locomo.json"
    data.write_text(json.dumps([_RECORD]))
    assert main(["run", "--data", str(data), "--backend", "bm25", "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def test_a_question_is_shown_with_its_context_and_the_evidence_marked(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["show", str(run), "conv-7:q0"]) == 0
    out = capsys.readouterr().out
    assert "question  What did Ann adopt?" in out
    assert "gold      A dog" in out
    marked = [line for line in out.splitlines() if line.startswith(">> ")]
    assert len(marked) >= 2  # in bm25's context and in the oracle's
    assert len(set(marked)) == 1
    assert main(["show", str(run), "conv-7:q0", "--backend", "none"]) == 0
    assert "bm25" not in capsys.readouterr().out


def test_failures_are_listed_by_cause(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    expected = [r for r in wrong if r["backend"] == "bm25" and r["correct"] is False]
    capsys.readouterr()
    assert main(["failures", str(run)]) == 0
    assert f"{len(expected)} of {len(expected)} wrong answers" in capsys.readouterr().out
    assert main(["failures", str(run), "--backend", "none", "--stage", "stored"]) == 0
    assert "  none  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "{run}", "nope"], "has no record of question 'nope'"),
        (["show", "{run}", "conv-7:q0", "--backend", "nope"], "has no backend 'nope'; it has none, bm25, oracle"),
        (["failures", "{run}", "--stage", "luck"], "--stage 'luck': is not one of not stored"),
        (["failures", "{run}", "--known-errors", "/nowhere"], "/nowhere: cannot be read"),
        (["failures", "/nowhere"], "is /nowhere the folder of a run?"),
    ],
)
def test_bad_input_is_one_sentence(
    run: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main([argument.format(run=run) for argument in arguments]) == 2
    assert sentence in capsys.readouterr().err
