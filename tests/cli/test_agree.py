"""`agree`: compares a judge with recorded verdicts, from the file to the tables and the file of its own verdicts."""

from __future__ import annotations

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

from engram_eval.cli.main import parse
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.datasets.longmemeval import LONGMEMEVAL_S
from engram_eval.errors import UserError
from engram_eval.judges.agreement import agreement, pair_verdicts, wrong_answers_accepted
from engram_eval.judges.grade import grade
from engram_eval.judges.offline.judge import OfflineJudge
from engram_eval.judges.verdict_file import GradedAnswer, RecordedVerdict, read_verdicts
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
    options = parse(["agree", *map(str, arguments)])
    code: int = options.command(options)
    return code


def answers(pairs: list[tuple[bool, bool | None, int]]) -> list[GradedAnswer]:
    """(recorded verdict, this judge's or None for an error, conversation)."""
    return [
        GradedAnswer(
            RecordedVerdict(Question("q", str(c), "?", "g", "", None, (), (), False), "a", before, "", LOCOMO),
            None if now is None else Verdict(now, (now,), ""),
            "Error: no" if now is None else None,
        )
        for before, now, c in pairs
    ]


# --- figures ----------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None]), st.integers(0, 3)), min_size=1, max_size=50)
)
def test_the_figures_equal_those_of_scipy_and_sklearn(pairs: list[tuple[bool, bool | None, int]]) -> None:
    result = agreement(answers(pairs))
    both = [(before, now) for before, now, _ in pairs if now is not None]
    assert (result.n, result.errors) == (len(both), len(pairs) - len(both))
    if not both:
        assert [result.kappa, result.recorded, result.same.rate, result.kappa_ci] == [None] * 4
        return
    recorded, judged = [x for x, _ in both], [x for _, x in both]
    assert result.same.rate == sum(x == y for x, y in both) / len(both)
    if len({*recorded, *judged}) == 2:
        assert result.kappa == pytest.approx(cohen_kappa_score(recorded, judged))
    else:
        assert result.kappa is None and result.kappa_ci is None
    wrong = [now for before, now in both if not before]
    right = [not now for before, now in both if before]
    for proportion, members in ((result.false_accepts, wrong), (result.false_rejects, right)):
        assert (proportion.count, proportion.n) == (sum(members), len(members))
        if members:
            reference = scipy_stats.binomtest(sum(members), len(members)).proportion_ci(method="wilson")
            assert proportion.ci == pytest.approx((reference.low, reference.high), abs=1e-9)
        else:
            assert proportion.rate is None and proportion.ci is None


def test_an_error_is_neither_right_nor_wrong() -> None:
    result = wrong_answers_accepted(answers([(True, True, 0), (True, None, 0), (False, False, 1)]))
    assert (result.errors, result.judged.count, result.recorded.count, result.judged.n) == (1, 1, 1, 2)


# --- the file ---------------------------------------------------------------------------------------------------


def test_a_line_needs_five_keys_and_may_have_more(verdicts: Callable[..., Path]) -> None:
    path = verdicts(
        line(question_id="conv-9:q3", gold=7),
        "",
        line(question_id="e47", benchmark="longmemeval_s", category="knowledge-update", unanswerable=True, system="x"),
    )
    (first, second), _ = read_verdicts(path)
    assert (first.question.conversation_id, first.question.gold, first.benchmark, first.system) == (
        "conv-9",
        "7",
        LOCOMO,
        "",
    )
    assert (second.question.conversation_id, second.benchmark, second.question.unanswerable) == (
        "e47",
        LONGMEMEVAL_S,
        True,
    )


@pytest.mark.parametrize("name", ["LongMemEval", "longmemeval-s", "longmemeval_s"])
def test_a_benchmark_is_named_by_its_dataset_or_the_beginning_of_it(verdicts: Callable[..., Path], name: str) -> None:
    (recorded,), _ = read_verdicts(verdicts(line(benchmark=name)))
    assert recorded.benchmark is LONGMEMEVAL_S


@pytest.mark.parametrize("name", ["trivia", "engram_eval.datasets.locomo:LOCOMO"])
def test_a_benchmark_that_does_not_exist_is_named_with_its_line(verdicts: Callable[..., Path], name: str) -> None:
    with pytest.raises(UserError, match=f"line 1: 'benchmark': there is no dataset '{name}'; see"):
        read_verdicts(verdicts(line(benchmark=name)))


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        ("nonsense", "column 1: not JSON"),
        ("[]", "the value is a list, not an object"),
        ("{}", "'question_id' is missing"),
        (json.dumps({**line(), "gold": ["a"]}), "'gold' is a list, not text"),
        (json.dumps({**line(), "answer": 3}), "'answer' is 3, not text"),
        (json.dumps({**line(), "correct": "yes"}), "'correct' is 'yes', not true or false"),
        (json.dumps({**line(), "correct": None}), "'correct' is null, not true or false"),
        (json.dumps({**line(), "unanswerable": 1}), "'unanswerable' is 1, not true or false"),
        ("[" * 100_000, "not usable JSON"),
        ("9" * 5_000, "not usable JSON"),
    ],
)
def test_a_bad_line_is_reported_in_one_sentence(verdicts: Callable[..., Path], second: str, fault: str) -> None:
    path = verdicts(line(), second)
    with pytest.raises(UserError, match=re.escape(f"{path}: line 2: {fault}")) as error:
        read_verdicts(path)
    assert "\n" not in str(error.value) and ";" in str(error.value)


def test_half_of_a_surrogate_pair_becomes_a_question_mark(verdicts: Callable[..., Path]) -> None:
    (recorded,), _ = read_verdicts(verdicts(json.dumps(line(answer="\ud800Sweden"))))
    assert recorded.answer == "?Sweden"


def test_a_bad_file_is_reported_in_one_sentence(tmp_path: Path) -> None:
    for content, fault in ((b"", "line 1: no verdict"), (b"\n \n", "no verdict"), (b"{}\n\xff\n", "question_id")):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(UserError, match=fault):
            read_verdicts(tmp_path / "f")
    (tmp_path / "f").write_bytes(json.dumps(line()).encode() + b"\n\xff\n")
    with pytest.raises(UserError, match="line 2: byte 1 is not UTF-8"):
        read_verdicts(tmp_path / "f")
    with pytest.raises(UserError, match="is a folder"):
        read_verdicts(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_verdicts(tmp_path / "g")


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.none(), max_size=1)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from([*line(), "conversation_id", "category", "system", "benchmark", "unanswerable"]), _VALUES
    ).map(lambda change: json.dumps({**line(), **change}).encode())
)
def test_any_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
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


def test_the_tables_show_agreement_mistakes_and_wrong_answers(
    verdicts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(verdicts(*_MIXED), "--wrong", "adversarial*") == 0
    out = capsys.readouterr().out
    assert re.search(r"overall +3 +33\.3 +66\.7 +\+33\.3 +66\.7 +\S+–\S+ +0\.40 +\S+ to \S+", out)
    assert re.search(r"category multi-hop +1 +0\.0 +100\.0 +\+100\.0 +0\.0 ", out)
    assert re.search(r"honest +2 +50\.0 +50\.0 +\+0\.0 +100\.0 +\S+ +1\.00 ", out)
    assert re.search(r"overall +50\.0 +\S+ +1 of 2 +0\.0 +\S+ +0 of 1", out)
    assert re.search(r"adversarial vague +0\.0 +\S+ +0 of 1 +100\.0 +\S+ +1 of 1", out)
    assert "overall +4" not in out and "Wrong on purpose" in out and "fitted to this very file" not in out


def test_an_undefined_kappa_is_a_dash(verdicts: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verdicts(line(), line())) == 0
    assert re.search(r"overall +2 +100\.0 +100\.0 +\+0\.0 +100\.0 +\S+ +– +–\n", capsys.readouterr().out)


def test_a_file_with_only_wrong_answers_has_one_table(
    verdicts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(verdicts(_MIXED[3]), "--wrong", "adversarial vague") == 0
    out = capsys.readouterr().out
    assert "overall" not in out and "Cohen" not in out and "0 of 1" in out


def test_a_pattern_that_matches_no_system_is_refused(verdicts: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="'no\\*': names no system; the systems are 'adversarial vague', 'honest'"):
        run(verdicts(*_MIXED), "--wrong", "no*")


def test_the_verdicts_are_written_in_file_order(verdicts: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert run(verdicts(*_MIXED), "--out", out) == 0
    lines = [json.loads(text) for text in out.read_text("utf-8").splitlines()]
    assert [x["question_id"] for x in lines] == [x["question_id"] for x in _MIXED]
    assert [x["correct"] for x in lines] == [True, False, True, False]
    assert all(x["reason"] and x["error"] is None for x in lines)


def test_an_unwritable_out_file_is_refused_before_any_call(verdicts: Callable[..., Path], tmp_path: Path) -> None:
    path = verdicts(line())
    for out, fault in (
        (tmp_path / "no" / "f", "cannot be written"),
        (tmp_path, "this is a folder"),
        (path, "the file that is"),
    ):
        with Server() as server, pytest.raises(UserError, match=fault):
            run(path, "--judge", "llm", "--model", "m", "--base-url", server.url, "--out", out)
        assert not server.asked
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["verdicts.jsonl"]


# --- a model as the judge -----------------------------------------------------------------------------------------


def _model(body: dict[str, Any]) -> Step:
    """Accepts answers with an even number; gives no verdict on an answer with a 7."""
    number = int(re.findall(r"\d+", json.loads(body["messages"][1]["content"])["answer to grade"])[0])
    if number == 7:
        return says("I would rather not")
    return says(json.dumps({"reason": f"it is {number}", "verdict": "WRONG" if number % 2 else "CORRECT"}))


_NUMBERED = [line(question_id=f"c{i % 3}:q{i}", answer=f"answer {i}", correct=i % 4 == 0) for i in range(12)]


def test_calls_overlap_and_a_failed_call_is_an_error_in_its_place(
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


def test_a_refused_key_stops_the_command_and_nothing_is_written(verdicts: Callable[..., Path], tmp_path: Path) -> None:
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
    with pytest.raises(UserError, match="longmemeval_s has no judge 'strict'; name llm"):
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
    recorded = [
        RecordedVerdict(question, str(n), True, "", LOCOMO) for question, n in zip(questions, numbers, strict=True)
    ]
    answers = pair_verdicts(recorded, asyncio.run(grade(todo, limit)))
    assert [x.verdict.reason if x.verdict else x.error for x in answers] == [
        "ValueError: five" if n == 5 else str(n) for n in numbers
    ]


# --- real verdicts ------------------------------------------------------------------------------------------------


def test_the_offline_judge_on_real_verdicts(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = real_data / "locomo_verdicts_dev.jsonl"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the folder in ENGRAM_EVAL_DATA")
    assert run(path, "--wrong", "wrong on purpose*") == 0
    out = capsys.readouterr().out
    match = re.search(r"overall +3,048 +\S+ +\S+ +\S+ +(\d+\.\d) +\S+ +(0\.\d+) ", out)
    assert match and float(match[1]) >= 90 and float(match[2]) >= 0.65


# --- a judge of your own --------------------------------------------------------------------------------------------


def test_the_judge_in_the_docs_runs(
    verdicts: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "judges.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(# my_judge\.py\n.*?)```", page, re.DOTALL)
    (tmp_path / "my_judge.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    lines = [line(answer="sweden"), line(answer="Norway", correct=False)]
    assert run(verdicts(*lines), "--judge", "my_judge:ExactMatch") == 0
    assert re.search(r"overall +2 +50\.0 +50\.0 +\+0\.0 +100\.0 ", capsys.readouterr().out)
