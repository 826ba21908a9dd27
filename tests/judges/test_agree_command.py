"""`agree`: a judge against recorded verdicts, from the file to the tables and the file of its own verdicts."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import cohen_kappa_score

from engram_eval.cli import agree
from engram_eval.errors import UserError
from engram_eval.judges.agreement import acceptance, agreement, graded
from engram_eval.judges.grade import grade
from engram_eval.judges.offline.judge import OfflineJudge
from engram_eval.judges.verdict_file import Graded, Recorded, read_verdicts
from engram_eval.types import Question, Verdict
from tests.llm.server import Server, Step, refuses, says, together


def line(**values: Any) -> dict[str, Any]:
    return {
        "question_id": "c1:q0", "question": "Where was Ana born?", "gold": "Sweden", "answer": "In Sweden.", "correct": True,
        **values,
    }  # fmt: skip


@pytest.fixture
def verdicts(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: dict[str, Any] | str) -> Path:
        path = tmp_path / "verdicts.jsonl"
        path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
        return path

    return write


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    agree.add(parser.add_subparsers())
    options = parser.parse_args(["agree", *map(str, arguments)])
    code: int = options.command(options)
    return code


def answers(pairs: list[tuple[bool, bool | None, int]]) -> list[Graded]:
    """(recorded verdict, this judge's or None for an error, conversation)."""
    return [
        Graded(
            Recorded(Question("q", str(c), "?", "g", "", None, (), (), False), "a", before, "", "locomo"),
            None if now is None else Verdict(now, (now,), ""),
            "Error: no" if now is None else None,
        )
        for before, now, c in pairs
    ]


# --- figures ----------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None]), st.integers(0, 3)), min_size=1, max_size=50)
)
def test_the_figures_are_those_of_scipy_and_sklearn(pairs: list[tuple[bool, bool | None, int]]) -> None:
    found = agreement(answers(pairs))
    both = [(before, now) for before, now, _ in pairs if now is not None]
    assert (found.n, found.errors) == (len(both), len(pairs) - len(both))
    if not both:
        assert [found.kappa, found.recorded, found.alike.rate, found.kappa_ci] == [None] * 4
        return
    theirs, ours = [x for x, _ in both], [x for _, x in both]
    assert found.alike.rate == sum(x == y for x, y in both) / len(both)
    if len({*theirs, *ours}) == 2:
        assert found.kappa == pytest.approx(cohen_kappa_score(theirs, ours))
    else:
        assert found.kappa is None and found.kappa_ci is None
    wrong = [now for before, now in both if not before]
    right = [not now for before, now in both if before]
    for share, members in ((found.false_accepts, wrong), (found.false_rejects, right)):
        assert (share.count, share.n) == (sum(members), len(members))
        if members:
            reference = scipy_stats.binomtest(sum(members), len(members)).proportion_ci(method="wilson")
            assert share.ci == pytest.approx((reference.low, reference.high), abs=1e-9)
        else:
            assert share.rate is None and share.ci is None


def test_an_error_is_neither_right_nor_wrong() -> None:
    found = acceptance(answers([(True, True, 0), (True, None, 0), (False, False, 1)]))
    assert (found.errors, found.judged.count, found.recorded.count, found.judged.n) == (1, 1, 1, 2)


# --- the file ---------------------------------------------------------------------------------------------------


def test_a_line_needs_five_fields_and_may_hold_more(verdicts: Callable[..., Path]) -> None:
    path = verdicts(
        line(question_id="conv-9:q3", gold=7),
        "",
        line(question_id="e47", benchmark="longmemeval_s", category="knowledge-update", unanswerable=True, system="x"),
    )
    (one, two), _ = read_verdicts(path)
    assert (one.question.conversation_id, one.question.gold, one.family, one.system) == ("conv-9", "7", "locomo", "")
    assert (two.question.conversation_id, two.family, two.question.unanswerable) == ("e47", "longmemeval", True)


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ("nonsense", "line 2, column 1: not JSON"),
        ("[]", "line 2: expected an object, found a list"),
        ("{}", "line 2: 'question_id' is missing"),
        (json.dumps({**line(), "gold": ["a"]}), "line 2.gold: expected text or a number"),
        (json.dumps({**line(), "answer": 3}), "line 2.answer: expected text"),
        (json.dumps({**line(), "correct": "yes"}), 'line 2.correct: expected true or false, found "yes"'),
        (json.dumps({**line(), "correct": None}), "line 2: 'correct' is missing"),
        (json.dumps({**line(), "unanswerable": 1}), "line 2.unanswerable: expected true or false, found 1"),
        ("[" * 100_000, "line 2: not usable JSON"),
        ("9" * 5_000, "line 2: not usable JSON"),
    ],
)
def test_a_bad_line_is_told_in_one_sentence(verdicts: Callable[..., Path], second: str, told: str) -> None:
    path = verdicts(line(), second)
    with pytest.raises(UserError, match=re.escape(f"{path}: {told}")) as error:
        read_verdicts(path)
    assert "\n" not in str(error.value) and ";" in str(error.value)


def test_a_bad_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    for content, told in ((b"", "line 1: holds no verdict"), (b"\n \n", "no verdict"), (b"{}\n\xff\n", "question_id")):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(UserError, match=told):
            read_verdicts(tmp_path / "f")
    (tmp_path / "f").write_bytes(json.dumps(line()).encode() + b"\n\xff\n")
    with pytest.raises(UserError, match="line 2, byte 1: not UTF-8"):
        read_verdicts(tmp_path / "f")
    with pytest.raises(UserError, match="is a folder"):
        read_verdicts(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_verdicts(tmp_path / "g")


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.none(), max_size=1)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from([*line(), "conversation_id", "category", "system", "benchmark", "unanswerable"]), _VALUES
    ).map(lambda change: json.dumps({**line(), **change}).encode())
)
def test_whatever_the_file_holds_it_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(json.dumps(line()).encode() + b"\n" + content)
    try:
        recorded, _ = read_verdicts(path)
    except UserError as error:
        assert re.match(rf"{re.escape(str(path))}: line \d", str(error))
    else:
        assert 1 <= len(recorded) <= 1 + content.count(b"\n") + 1
        asyncio.run(grade([(OfflineJudge(), r.question, r.answer) for r in recorded], 1))


# --- the command ------------------------------------------------------------------------------------------------

_MIXED = [
    line(question_id="c1:q0", system="honest", category="single-hop"),
    line(question_id="c1:q1", system="honest", category="single-hop", answer="Norway", correct=False),
    line(question_id="c2:q0", system="other", category="multi-hop", correct=False),
    line(question_id="c2:q0", system="adversarial vague", category="multi-hop", answer="She told of it.", correct=True),
]


def test_the_tables(verdicts: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verdicts(*_MIXED), "--wrong", "adversarial*") == 0
    out = capsys.readouterr().out
    assert re.search(r"overall +3 +33\.3 +66\.7 +\+33\.3 +66\.7 +\S+–\S+ +0\.40 +\S+ to \S+", out)
    assert re.search(r"category multi-hop +1 +0\.0 +100\.0 +\+100\.0 +0\.0 ", out)
    assert re.search(r"honest +2 +50\.0 +50\.0 +\+0\.0 +100\.0 +\S+ +1\.00 ", out)
    assert re.search(r"overall +50\.0 +\S+ +1 of 2 +0\.0 +\S+ +0 of 1", out)
    assert re.search(r"adversarial vague +0\.0 +\S+ +0 of 1 +100\.0 +\S+ +1 of 1", out)
    assert "overall +4" not in out and "Wrong on purpose" in out and "fitted to this very file" not in out


def test_kappa_that_is_undefined_is_a_dash(verdicts: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verdicts(line(), line())) == 0
    assert re.search(r"overall +2 +100\.0 +100\.0 +\+0\.0 +100\.0 +\S+ +– +–\n", capsys.readouterr().out)


def test_a_file_of_answers_that_are_wrong_on_purpose_alone(
    verdicts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(verdicts(_MIXED[3]), "--wrong", "adversarial vague") == 0
    out = capsys.readouterr().out
    assert "overall" not in out and "Cohen" not in out and "0 of 1" in out


def test_a_system_that_is_not_there_is_refused(verdicts: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="'no\\*': names no system; the systems are 'adversarial vague', 'honest'"):
        run(verdicts(*_MIXED), "--wrong", "no*")


def test_the_verdicts_are_written_in_order(verdicts: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert run(verdicts(*_MIXED), "--out", out) == 0
    lines = [json.loads(text) for text in out.read_text("utf-8").splitlines()]
    assert [x["question_id"] for x in lines] == [x["question_id"] for x in _MIXED]
    assert [x["correct"] for x in lines] == [True, False, True, False]
    assert all(x["reason"] and x["error"] is None for x in lines)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_asked(
    verdicts: Callable[..., Path], tmp_path: Path
) -> None:
    path = verdicts(line())
    for out, told in ((tmp_path / "no" / "f", "cannot be written"), (tmp_path, "this is a folder"), (path, "the file that is")):
        with Server() as server, pytest.raises(UserError, match=told):
            run(path, "--judge", "llm", "--model", "m", "--base-url", server.url, "--out", out)
        assert not server.asked
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["verdicts.jsonl"]


# --- a model as the judge -----------------------------------------------------------------------------------------


def _model(body: dict[str, Any]) -> Step:
    """Accepts answers with an even number in them; has nothing to say of those with a 7."""
    number = int(re.findall(r"\d+", json.loads(body["messages"][1]["content"])["answer to grade"])[0])
    if number == 7:
        return says("I would rather not")
    return says(json.dumps({"reason": f"it is {number}", "verdict": "WRONG" if number % 2 else "CORRECT"}))


_NUMBERED = [line(question_id=f"c{i % 3}:q{i}", answer=f"answer {i}", correct=i % 4 == 0) for i in range(12)]


def test_calls_overlap_and_a_failed_one_is_an_error_in_its_place(
    verdicts: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    waits = iter([together(4)] * 4)

    def answer(body: dict[str, Any]) -> Step:
        step = _model(body)
        return Step(step.status, step.body, before=next(waits, None))

    with Server(answer=answer) as server:
        llm = ("--judge", "llm", "--model", "m", "--base-url", server.url, "--max-in-flight", 4, "--out", out)
        assert run(verdicts(*_NUMBERED), *llm) == 3
        assert server.most_at_once == 4
    captured = capsys.readouterr()
    lines = [json.loads(text) for text in out.read_text("utf-8").splitlines()]
    assert [x["correct"] for x in lines] == [None if i == 7 else i % 2 == 0 for i in range(12)]
    assert [x["reason"] for x in lines] == [None if i == 7 else f"it is {i}" for i in range(12)]
    assert lines[7]["error"].startswith("LLMError: ") and lines[8]["error"] is None
    assert re.search(r"overall +11 +1 +27\.3 +54\.5 ", captured.out)
    assert "1 answer could not be graded, the first (c1:q7): LLMError" in captured.err


def test_a_refused_key_stops_it_and_nothing_is_written(verdicts: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("as it was")
    with Server(answer=lambda body: refuses(401) if len(server.asked) > 5 else _model(body)) as server:
        llm = ("--judge", "llm", "--model", "m", "--base-url", server.url, "--max-in-flight", 1, "--out", out)
        with pytest.raises(UserError, match="refused the key"):
            run(verdicts(*_NUMBERED[:7]), *llm)
    assert out.read_text() == "as it was"
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == {"out.jsonl", "verdicts.jsonl"}


def test_each_benchmark_has_its_own_rule(verdicts: Callable[..., Path]) -> None:
    with Server(answer=_model) as server:
        lines = [line(answer="2"), line(answer="4", benchmark="longmemeval", category="knowledge-update")]
        assert run(verdicts(*lines), "--judge", "llm", "--model", "m", "--base-url", server.url) == 0
        rules = [asked.body["messages"][0]["content"] for asked in server.asked]
    assert sum("Grade generously" in rule for rule in rules) == sum("latest state" in rule for rule in rules) == 1
    with pytest.raises(UserError, match="there is no judge 'strict'"):
        run(verdicts(line(benchmark="longmemeval")), "--judge", "llm:strict", "--model", "m", "--base-url", server.url)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 5), st.randoms(use_true_random=False))
def test_verdicts_keep_their_order_however_the_calls_end(numbers: list[int], limit: int, rng: random.Random) -> None:
    pauses = {i: rng.randrange(4) for i in range(len(numbers))}

    class Late:
        name, agreement = "late", ""

        async def judge(self, question: Question, answer: str) -> Verdict:
            for _ in range(pauses[int(question.id)]):
                await asyncio.sleep(0)
            if answer == "5":
                raise ValueError("five")
            return Verdict(int(answer) % 2 == 0, (), answer)

    questions = [Question(str(i), "c", "?", "g", "", None, (), (), False) for i in range(len(numbers))]
    todo = [(Late(), question, str(number)) for question, number in zip(questions, numbers, strict=True)]
    recorded = [Recorded(question, str(n), True, "", "locomo") for question, n in zip(questions, numbers, strict=True)]
    found = graded(recorded, asyncio.run(grade(todo, limit)))
    assert [x.verdict.reason if x.verdict else x.error for x in found] == [
        "ValueError: five" if n == 5 else str(n) for n in numbers
    ]


# --- real verdicts ------------------------------------------------------------------------------------------------


def test_the_offline_judge_on_real_verdicts(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = real_data / "locomo_verdicts_dev.jsonl"
    if not path.is_file():
        pytest.skip(f"there is no {path.name} in the folder that ENGRAM_EVAL_DATA names")
    assert run(path, "--wrong", "wrong on purpose*") == 0
    out = capsys.readouterr().out
    found = re.search(r"overall +3,048 +\S+ +\S+ +\S+ +(\d+\.\d) +\S+ +(0\.\d+) ", out)
    assert found and float(found[1]) >= 90 and float(found[2]) >= 0.65
