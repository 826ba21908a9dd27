"""The judge probe: answers whose right verdict is known, made from questions and their golds."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from itertools import groupby

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from engram_eval.datasets import catalogue
from engram_eval.errors import UserError
from engram_eval.judges.offline.judge import OfflineJudge
from engram_eval.judges.probe import Probe, make_probes, run_probe, summarise_probe
from engram_eval.language.dates import find_dates
from engram_eval.language.words import content_stems, words
from engram_eval.results.probe import ProbeKind, ProbeResult
from engram_eval.run.probe import questions_to_probe
from engram_eval.types import Question, Verdict


def question(
    text: str,
    gold: str,
    *,
    number: int = 0,
    conversation: str = "c1",
    category: str = "single-hop",
    unanswerable: bool = False,
) -> Question:
    return Question(f"{conversation}:q{number}", conversation, text, gold, category, None, (), (), unanswerable)


def answers_by_kind(text: str, gold: str, *others: Question, seed: int = 0) -> dict[str, str]:
    """The answers to this question alone, by kind."""
    first = question(text, gold)
    return {p.kind: p.answer for p in make_probes([first, *others], size=99, seed=seed) if p.question == first}


@cache
def synthetic() -> list[Question]:
    sizes = {"synthetic": {"conversations": "3"}, "synthetic_longmemeval": {"sessions": "6", "tokens": "4000"}}
    datasets = [catalogue.benchmark(name).open(None, options) for name, options in sizes.items()]
    ids = [frozenset(q.id for sample in dataset.samples() for q in sample.questions) for dataset in datasets]
    return [q for dataset, chosen in zip(datasets, ids, strict=True) for q in questions_to_probe(dataset, chosen)]


def test_rubrics_are_not_probed() -> None:
    dataset = catalogue.benchmark("synthetic_longmemeval").open(
        None, {"histories": "12", "sessions": "3", "tokens": "1500"}
    )
    categories = {q.id: q.category for sample in dataset.samples() for q in sample.questions}
    probed = {q.category for q in questions_to_probe(dataset, categories)}
    assert set(categories.values()) - probed == {"single-session-preference"}


# --- one question -------------------------------------------------------------------------------------------------

_DAYS = st.dates(date(1990, 1, 1), date(2040, 12, 31))
_FORMS = [
    "{d} {month} {y}",
    "{month} {d}, {y}",
    "{y}-{m:02}-{d:02}",
    "The week before {d} {month} {y}",
    "{month} {y}",
    "{y}",
]


@given(_DAYS, st.sampled_from(_FORMS), st.integers(0, 9))
def test_a_date_is_rewritten_and_moved_by_more_than_300_days(day: date, form: str, seed: int) -> None:
    gold = form.format(d=day.day, m=day.month, y=day.year, month=f"{day:%B}")
    answers = answers_by_kind("When did Ana go to the fair?", gold, seed=seed)
    assert answers["paraphrase"].lower().rstrip(".") != gold.lower()
    texts = (gold, answers["paraphrase"], answers["corrupted"])
    expected, right, wrong = (find_dates(text, said_on=None) for text in texts)
    assert [(s.start, s.end) for s in right] == [(s.start, s.end) for s in expected]
    gap = max(wrong[0].start - expected[0].end, expected[0].start - wrong[0].end)
    assert len(wrong) == 1 and gap > timedelta(days=300)
    assert form == "{y}" or wrong[0].start.month != expected[0].start.month or "week" in form
    assert not find_dates(answers["vague"], said_on=None)


@given(st.integers(0, 500), st.sampled_from(["{}", "{} dogs", "about {} dogs", "${}", "{}%"]))
def test_a_number_is_rewritten_and_changed_to_a_distant_one(number: int, form: str) -> None:
    answers = answers_by_kind("How many dogs does Ana have?", form.format(number))
    assert str(3 * number + 2) in answers["corrupted"].replace(",", "")
    assert str(number) not in words(answers["corrupted"])
    assert not any(character.isdigit() for character in answers["vague"])
    if number < 100 and "$" not in form:
        assert str(number) not in answers["paraphrase"]


@pytest.mark.parametrize(
    ("text", "gold", "right", "wrong"),
    [
        ("How many dogs does Ana have?", "Three", "3.", "Eleven."),
        ("How many dogs does Ana have?", "3", "Three.", "11."),
        ("How often does Ana win?", "Twice a year", "2 times a year.", "8 times a year."),
        ("How much did I pay?", "$375", "375 dollars.", "$1,127."),
        ("How many days?", "14 days. 15 days (including the last day) is also acceptable.", "Fourteen days.", "44 days."),
        ("When did Ana move?", "June 2023", "In June of 2023.", None),
        ("Does Ana like opera?", "Yes", "Yes, that is so.", "No."),
        ("Would Ana move?", "Likely no", "Probably not.", "Yes."),
        ("What instruments does Ana play?", "clarinet, violin and harp", "Harp, violin and clarinet.", None),
        ("Which came first, my bad back or my walk?", "Your walk", "Your walk came first.", "Your bad back."),
    ],
)  # fmt: skip
def test_each_kind_of_gold_is_rewritten_in_its_own_way(text: str, gold: str, right: str, wrong: str | None) -> None:
    answers = answers_by_kind(text, gold)
    assert answers["paraphrase"] == right
    assert wrong is None or answers["corrupted"] == wrong


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("What game does Ana play?", "Xenoblade 2"),
        ("What did Ana learn?", "One-on-one mentoring and training"),
        ("Where was Ana born?", "Lisbon, Portugal"),
        ("What did Ana cook?", "macaroni and cheese"),
        ("What steps does Ana take, in order?", "wash, cut, fry"),
        ("Who is Ana's hero?", "May Smith"),
    ],
)
def test_a_gold_that_may_not_be_a_number_date_or_list_is_unchanged(text: str, gold: str) -> None:
    assert gold.lower() in answers_by_kind(text, gold)["paraphrase"].lower()


def test_a_text_is_replaced_by_a_similar_answer_from_another_conversation() -> None:
    text, gold = "Where was Ana born?", "In a village near Lyon"
    near = question("Where was Ben born?", "In a hospital", number=1)
    alike = question("Where was Cleo born?", "In a village in Peru", conversation="c2")
    when = question("When was Cleo born?", "In a cold winter", conversation="c3")
    assert "corrupted" not in answers_by_kind(text, gold, near, alike, when)
    far = question("Where was Dora born?", "In an old lighthouse", conversation="c4")
    assert answers_by_kind(text, gold, near, alike, when, far)["corrupted"] == "In an old lighthouse."


@pytest.mark.parametrize("text", ["How did Ana feel?", "Why did Ana go?", "What does Ana think of it?"])
def test_no_answer_is_borrowed_if_two_answers_may_mean_the_same(text: str) -> None:
    assert "corrupted" not in answers_by_kind(text, "Touched", question(text, "Grateful", conversation="c2"))


def test_no_probe_is_made_if_the_verdict_is_uncertain() -> None:
    assert not make_probes(
        [
            question("Who?", "not mentioned", unanswerable=True),
            question("Where?", "Not mentioned", number=1),
            question("What?", "...", number=2),
            question("What?", "word " * 100, number=3),
        ],
        seed=0,
    )
    assert make_probes([], seed=0) == []


# --- many questions -----------------------------------------------------------------------------------------------


@settings(max_examples=15)
@example(seed=117)  # a gold that holds a word of a vague answer's frame
@given(seed=st.integers(0, 10_000))
def test_probes_of_the_synthetic_data_are_right_or_wrong_as_expected(seed: int) -> None:
    rng = random.Random(seed)
    some = rng.sample(synthetic(), 150)
    probes = make_probes(some, size=12, seed=seed)
    shuffled = rng.sample(some, len(some))
    assert make_probes(shuffled, size=12, seed=seed) == probes
    for probe in probes:
        gold = set(content_stems(probe.question.gold.split(". ")[0]))
        assert not probe.question.unanswerable and probe.question.category != "single-session-preference"
        assert probe.expected == (probe.kind == "paraphrase") and probe.answer.strip()
        if probe.kind in ("vague", "corrupted"):
            assert not gold <= set(content_stems(probe.answer))
        if probe.kind == "vague":
            assert not gold & set(content_stems(probe.answer))
    assert len({probe.question.id for probe in probes}) == 12


def test_questions_are_spread_evenly_over_categories() -> None:
    some = [q for q in synthetic() if q.id.startswith("synthetic-")]
    counts = Counter(q.category for q, _ in groupby(make_probes(some, seed=0), lambda probe: probe.question))
    assert counts == dict.fromkeys(("multi-hop", "open-domain", "single-hop", "temporal"), 3)


def test_another_seed_chooses_other_questions() -> None:
    drawn = [{probe.question.id for probe in make_probes(synthetic(), seed=seed)} for seed in range(3)]
    assert drawn[0] != drawn[1] != drawn[2]


def test_the_offline_judge_grades_most_probes_correctly() -> None:
    """Probes with a wrong expected verdict would raise these rates."""
    probes = make_probes(synthetic(), size=60, seed=0)
    summary = summarise_probe(asyncio.run(run_probe(OfflineJudge(), probes, 1)))
    assert summary.errors == 0
    kinds = summary.by_kind
    for kind in (kinds.paraphrase, kinds.vague, kinds.corrupted, kinds.adversarial):
        assert kind.rate is not None and kind.rate < 0.2


anything = st.text(max_size=30) | st.lists(
    st.sampled_from(
        "When what which came first , or a Ana's 31 February 2023 yes $3 once % the of and ... \ud800 \x00".split()
    )
).map(" ".join)


@settings(max_examples=40)
@given(st.lists(st.tuples(anything, anything, st.sampled_from("ab")), max_size=6), st.integers(0, 3))
def test_any_questions_can_be_probed(texts: list[tuple[str, str, str]], seed: int) -> None:
    questions = [question(t, g, number=i, conversation=c) for i, (t, g, c) in enumerate(texts)]
    probes = make_probes(questions, seed=seed)
    assert probes == make_probes(questions[::-1], seed=seed)
    for probe in probes:
        assert probe.kind != "corrupted" or not set(content_stems(probe.question.gold) or [""]) <= set(
            content_stems(probe.answer)
        )


# --- asking -------------------------------------------------------------------------------------------------------


class _Judge:
    """Accepts all answers, raises `error` for some, and counts the calls in flight."""

    name, agreement = "double", ""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.in_flight, self.most_in_flight = error, 0, 0

    async def judge(self, question: Question, answer: str) -> Verdict:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for _ in range(20 + len(answer) % 3):
            await asyncio.sleep(0)
        self.in_flight -= 1
        if self.error and question.text == "fails":
            raise self.error
        return Verdict(True, (True,), answer)


_PROBES = [
    Probe(
        question("fails" if i == 2 else "?", "g", number=i),
        "paraphrase" if i % 3 == 0 else "vague",
        "x" * i,
        i % 3 == 0,
    )
    for i in range(9)
]


def test_calls_overlap_up_to_the_limit_and_a_failed_call_is_an_error() -> None:
    judge = _Judge(ValueError("no"))
    results = asyncio.run(run_probe(judge, _PROBES, 4))
    assert judge.most_in_flight == 4
    assert [result.question_id for result in results] == [probe.question.id for probe in _PROBES]
    assert [result.error for result in results] == ["ValueError: no" if i == 2 else None for i in range(9)]
    assert all(result.correct and result.reason == "x" * i for i, result in enumerate(results) if i != 2)
    assert json.loads(results[2].write()) == {
        "question_id": "c1:q2", "kind": "vague", "question": "fails", "gold": "g", "answer": "xx", "expected": False,
        "correct": None, "reason": None, "error": "ValueError: no",
    }  # fmt: skip


def test_a_user_error_stops_the_probe() -> None:
    with pytest.raises(UserError, match="the key"):
        asyncio.run(run_probe(_Judge(UserError("the key is refused")), _PROBES, 4))


def _results(
    paraphrases: Sequence[bool | None], vague: Sequence[bool | None], corrupted: Sequence[bool | None]
) -> list[ProbeResult]:
    verdicts: list[tuple[ProbeKind, Sequence[bool | None]]] = [
        ("paraphrase", paraphrases),
        ("vague", vague),
        ("corrupted", corrupted),
    ]
    return [
        ProbeResult(
            question_id="c1:q0",
            kind=kind,
            question="?",
            gold="g",
            answer="a",
            expected=kind == "paraphrase",
            correct=correct,
            reason=None if correct is None else "",
            error="Error" if correct is None else None,
        )
        for kind, of_kind in verdicts
        for correct in of_kind
    ]


def test_the_summary_has_error_rates_with_intervals_and_a_sentence() -> None:
    summary = summarise_probe(_results([True] * 12, [True] * 2 + [False] * 10, [False] * 12))
    wilson = scipy_stats.binomtest(2, 24).proportion_ci(method="wilson")
    assert (summary.false_accept.n, summary.false_accept.count, summary.false_accept.rate) == (24, 2, 2 / 24)
    assert summary.false_accept.ci == pytest.approx((wilson.low, wilson.high))
    assert (summary.n, summary.errors, summary.by_kind.vague.count) == (36, 0, 2)
    assert summary.note == (
        "Judge probe: the judge accepted 2 of 24 wrong answers (8 %, 95 % interval 2–26: vague 2 of 12, corrupted 0 of 12) and "
        "rejected 0 of 12 right answers in other words (0 %, 0–24)."
    )


def test_the_sentence_of_a_small_probe_reports_only_what_was_measured() -> None:
    assert summarise_probe([]).note == "Judge probe: no question was suitable for it."
    assert summarise_probe(_results([None], [], [])).note == (
        "Judge probe: no answer could be graded; 1 of 1 calls failed."
    )
    assert summarise_probe(_results([False], [None], [])).note == (
        "Judge probe: the judge rejected 1 of 1 right answers in other words (100 %, 95 % interval 21–100); "
        "1 of 2 calls failed."
    )
    assert "corrupted" not in summarise_probe(_results([], [True], [])).note
