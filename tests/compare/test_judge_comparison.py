"""Several judges over the same answers: agreement, answers on which they differ, and the order of the memories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engram_eval.compare.judge_comparison import JudgeComparison, compare_judges
from engram_eval.compare.judge_tables import FLIPS_SHOWN, make_notes, make_tables
from engram_eval.tables.terminal import to_text
from tests.records import backend, changed, failed, record, write_run

_QUESTIONS = 40
_MEMORIES = ("engram", "bm25")


def _judged(folder: Path, right: Mapping[str, range], *, broken: int = 0) -> Path:
    """A run under one judge that accepts these answers of each memory, and fails on the first ones of engram."""
    records = []
    for memory, accepted in right.items():
        for i in range(_QUESTIONS):
            place = {"backend": memory, "conversation_id": f"c{i % 8}", "question_id": f"q{i}"}
            item = record(**place, correct=i in accepted, answer=f"answer {i}", evidence_sessions=None)
            if memory == "engram" and i < broken:
                item = changed(item, status="error", error="judge: LLMError: no", correct=None, judge=None)
            records.append(item)
    backends = {name: backend(control=name == "none") for name in right}
    write_run(folder, records, backends=backends)
    return folder


def _compared(tmp_path: Path, **judges: Mapping[str, range]) -> JudgeComparison:
    return compare_judges({name: _judged(tmp_path / name, right) for name, right in judges.items()})


def _notes(comparison: JudgeComparison) -> str:
    return "\n".join(make_notes(comparison))


def test_a_pair_of_judges_has_agreement_kappa_and_flips(tmp_path: Path) -> None:
    strict = {"engram": range(10), "bm25": range(5)}
    lenient = {"engram": range(20), "bm25": range(5)}
    comparison = _compared(tmp_path, strict=strict, lenient=lenient)
    (pair,) = comparison.pairs
    assert (pair.agreement.n, pair.agreement.same.count) == (80, 70)
    assert pair.agreement.false_accepts.count == 10  # wrong → right
    assert pair.agreement.false_rejects.count == 0
    assert pair.agreement.kappa is not None
    assert pair.agreement.kappa_ci is not None
    assert [flip.record.question_id for flip in comparison.flips] == [f"q{i}" for i in range(10, 20)]
    assert comparison.flips[0].to_json()["verdicts"] == {"strict": False, "lenient": True}


def test_an_order_that_a_judge_turns_round_is_said_first(tmp_path: Path) -> None:
    one = {"engram": range(30), "bm25": range(5)}
    other = {"engram": range(5), "bm25": range(30)}
    comparison = _compared(tmp_path, one=one, other=other)
    (pair,) = comparison.pairs
    assert pair.reversed == (("engram", "bm25"),)
    assert pair.tau == -1.0
    assert make_notes(comparison)[0] == "REVERSED: engram is better than bm25 under one, and worse under other."
    text = to_text(make_tables(comparison))
    assert "engram 75.0 > bm25 12.5" in text
    assert "bm25 75.0 > engram 12.5" in text


def test_an_order_that_survives_is_said_to(tmp_path: Path) -> None:
    one = {"engram": range(30), "bm25": range(5)}
    other = {"engram": range(36), "bm25": range(8)}
    notes = _notes(_compared(tmp_path, one=one, other=other))
    assert "same order under all judges, and no difference that is clear under two judges is reversed." in notes


def test_equal_accuracies_turn_no_order_round(tmp_path: Path) -> None:
    comparison = _compared(
        tmp_path,
        one={"engram": range(30), "bm25": range(5)},
        other={"engram": range(10), "bm25": range(10)},
        third={"engram": range(9), "bm25": range(10)},
    )
    assert [pair.reordered for pair in comparison.pairs] == [0, 1, 0]


def test_a_small_difference_is_a_tie_and_no_reversal(tmp_path: Path) -> None:
    one = {"engram": range(11), "bm25": range(10)}
    other = {"engram": range(10), "bm25": range(11)}
    comparison = _compared(tmp_path, one=one, other=other)
    (pair,) = comparison.pairs
    assert (pair.reversed, pair.same, pair.tau) == ((), 0, -1.0)
    assert "these answers do not tell an order" in _notes(comparison)
    assert "engram 27.5 = bm25 25.0" in to_text(make_tables(comparison))


def test_a_difference_that_one_judge_alone_sees_is_counted(tmp_path: Path) -> None:
    one = {"engram": range(30), "bm25": range(5)}
    other = {"engram": range(10), "bm25": range(10)}
    comparison = _compared(tmp_path, one=one, other=other)
    assert comparison.pairs[0].one_only == 1
    assert "1 difference is clear under only one of two judges" in _notes(comparison)


def test_an_error_of_a_judge_is_neither_a_verdict_nor_a_flip(tmp_path: Path) -> None:
    right = {"engram": range(30), "bm25": range(5)}
    judged = {"one": _judged(tmp_path / "one", right), "two": _judged(tmp_path / "two", right, broken=3)}
    comparison = compare_judges(judged)
    (pair,) = comparison.pairs
    assert (pair.agreement.n, pair.agreement.errors) == (77, 3)
    assert comparison.errors == {"one": 0, "two": 3}
    assert comparison.flips == []
    assert "two: 3 answers without a verdict" in _notes(comparison)


def test_controls_are_in_the_accuracies_alone(tmp_path: Path) -> None:
    one = {"none": range(0), "engram": range(10)}
    other = {"none": range(40), "engram": range(10)}
    comparison = _compared(tmp_path, one=one, other=other)
    assert comparison.compared == ("engram",)
    assert comparison.flips == []
    assert comparison.pairs[0].agreement.n == 40
    assert "There is one memory, so there is no order" in _notes(comparison)
    assert "leave the controls out (none)" in _notes(comparison)
    assert "none" in to_text(make_tables(comparison))


def test_a_long_list_of_flips_is_cut_on_screen(tmp_path: Path) -> None:
    comparison = _compared(tmp_path, one={"engram": range(0)}, other={"engram": range(40)})
    text = to_text(make_tables(comparison))
    assert len(comparison.flips) == 40
    assert f"the first {FLIPS_SHOWN} of 40 (all are in flips.jsonl)" in " ".join(text.split())
    assert f" q{FLIPS_SHOWN - 1} " in text
    assert f" q{FLIPS_SHOWN} " not in text


@pytest.mark.parametrize("answers", [0, 1])
def test_questions_without_an_answer_are_counted_and_left_out(tmp_path: Path, answers: int) -> None:
    none = failed(backend="engram", question_id="q-none", evidence_sessions=None)
    some = [record(backend="engram", question_id=f"q{i}", evidence_sessions=None) for i in range(answers)]
    folders = {
        name: write_run(tmp_path / name, [none, *some], backends={"engram": backend()}).path for name in ("one", "two")
    }
    comparison = compare_judges(folders)
    assert comparison.unanswered == 1
    assert comparison.pairs[0].agreement.n == answers
    assert "1 question without an answer in the run" in _notes(comparison)
    assert to_text(make_tables(comparison))
