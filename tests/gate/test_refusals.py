"""Runs that cannot be compared with the baseline: they never pass."""

from __future__ import annotations

from typing import Any

import pytest

from engram_eval.errors import UserError
from engram_eval.results.record import Record
from tests.gate.runs import BACKENDS, QUESTIONS, command, number_of, records, run_check, with_changes, write_run
from tests.records import changed, failed, manifest_json


def test_an_empty_run_never_passes() -> None:
    write_run([])
    with pytest.raises(UserError, match="run: holds no answers"):
        run_check()
    with pytest.raises(UserError, match="run: holds no answers"):
        command("baseline", "run", "-o", "new.json")
    write_run([], "empty", dataset={**manifest_json()["dataset"], "questions": 0})
    with pytest.raises(UserError, match="empty: holds no answers"):
        run_check(run="empty")


def test_an_unfinished_run_never_passes() -> None:
    write_run(records()[:100])
    with pytest.raises(UserError, match="run: is unfinished, engram has 40 of 60 questions; finish it with --resume"):
        run_check()


def test_a_run_whose_last_record_is_torn_never_passes() -> None:
    path = write_run() / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="run: is unfinished, degraded has 59 of 60 questions"):
        run_check()


def test_a_run_with_errors_that_the_baseline_does_not_have_never_passes() -> None:
    def with_errors(*numbers: int) -> list[Record]:
        fields = ("backend", "conversation_id", "question_id", "category", "unanswerable")
        return [
            failed(**{name: getattr(item, name) for name in fields})
            if item.backend == "engram" and number_of(item) in numbers
            else item
            for item in records()
        ]

    write_run(with_errors(3, 4))
    with pytest.raises(
        UserError, match=r"2 questions of engram ended in an error, but not in the baseline \(c0:q3 …\)"
    ):
        run_check()
    with pytest.raises(UserError, match=r"2 answers ended in an error, and a baseline without them would"):
        command("baseline", "run", "-o", "base.json")
    assert command("baseline", "run", "-o", "base.json", "--allow-errors") == 0
    assert run_check() == 0
    assert run_check(run="before") == 0
    with pytest.raises(UserError, match=r"1 question of engram ended in an error, but not in the baseline \(c0:q5\)"):
        run_check(run=str(write_run(with_errors(3, 4, 5), "more")))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"budget": 500}, "the budget differs (run: 500, base.json: 916)"),
        ({"reader": {"name": "llm", "model": "m", "window": 128_000}}, "the reader differs"),
        ({"judge": {"name": "llm", "model": "m", "agreement": ""}}, "the judge differs"),
        ({"embedder": {"name": "openai:x", "dimensions": 9}}, "the embedder differs"),
        ({"dataset": {**manifest_json()["dataset"], "sha256": "cd", "questions": QUESTIONS}}, "the dataset differs"),
    ],
)
def test_a_run_of_another_experiment_never_passes(changes: dict[str, Any], difference: str) -> None:
    write_run(**changes)
    with pytest.raises(UserError) as refusal:
        run_check()
    assert difference in str(refusal.value)


def test_a_run_of_other_questions_never_passes() -> None:
    write_run([changed(item, question_id=item.question_id.replace("c5", "d5")) for item in records()])
    with pytest.raises(UserError, match="50 of 60 questions of the baseline are among the run's 60"):
        run_check()


def test_a_run_without_a_backend_or_a_metric_of_the_baseline_never_passes() -> None:
    write_run(
        [item for item in records() if item.backend != "engram"],
        backends={label: entry for label, entry in BACKENDS.items() if label != "engram"},
    )
    with pytest.raises(UserError, match="run: has no backend 'engram', which base"):
        run_check()
    assert run_check("--backend-map", "degraded=engram") == 1
    without_recall = write_run(with_changes(lambda _: {"evidence_recall": None}), "blind")
    with pytest.raises(UserError, match="blind has no evidence_recall of engram at c0:q0"):
        run_check(run=str(without_recall))


@pytest.mark.parametrize("text", ["degraded", "=engram", "degraded=", "a=engram"])
def test_a_backend_map_that_names_no_backend_is_refused(text: str) -> None:
    write_run()
    with pytest.raises(UserError, match=f"--backend-map {text}: "):
        run_check("--backend-map", text)
    with pytest.raises(UserError, match="has no 'other'; it has engram, full-history"):
        run_check("--backend-map", "degraded=other")
