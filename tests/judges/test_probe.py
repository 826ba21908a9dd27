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
from engram_eval.judges.probe import Probe, ProbeResult, make_probes, probe_note, run_probe, summarise_probe
from engram_eval.language.dates import find_dates
from engram_eval.language.words import content_stems, words
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


def made(text: str, gold: str, *others: Question, seed: int = 0) -> dict[str, str]:
    """The answers to this question alone, by kind."""
    asked = question(text, gold)
    return {p.kind: p.answer for p in make_probes([asked, *others], size=99, seed=seed) if p.question == asked}


@cache
def synthetic() -> list[Question]:
    datasets = [catalogue.benchmark(name).open(None, {}) for name in ("synthetic", "synthetic_longmemeval")]
    ids = [frozenset(q.id for sample in dataset.samples() for q in sample.questions) for dataset in datasets]
    return [q for dataset, chosen in zip(datasets, ids, strict=True) for q in questions_to_probe(dataset, chosen)]


def test_a_rubric_is_no_answer_to_probe_with() -> None:
    dataset = catalogue.benchmark("synthetic_longmemeval").open(
        None, {"histories": "12", "sessions": "3", "tokens": "1500"}
    )
    every = {q.id: q.category for sample in dataset.samples() for q in sample.questions}
    probed = {q.category for q in questions_to_probe(dataset, every)}
    assert set(every.values()) - probed == {"single-session-preference"}


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
def test_a_date_is_put_otherwise_and_moved_far(day: date, form: str, seed: int) -> None:
    gold = form.format(d=day.day, m=day.month, y=day.year, month=f"{day:%B}")
    found = made("When did Ana go to the fair?", gold, seed=seed)
    assert found["paraphrase"].lower().rstrip(".") != gold.lower()
    told, right, wrong = (find_dates(text, said_on=None) for text in (gold, found["paraphrase"], found["corrupted"]))
    assert [(s.start, s.end) for s in right] == [(s.start, s.end) for s in told]
    gap = max(wrong[0].start - told[0].end, told[0].start - wrong[0].end)
    assert len(wrong) == 1 and gap > timedelta(days=300)
    assert form == "{y}" or wrong[0].start.month != told[0].start.month or "week" in form
    assert not find_dates(found["vague"], said_on=None)


@given(st.integers(0, 500), st.sampled_from(["{}", "{} dogs", "about {} dogs", "${}", "{}%"]))
def test_a_number_is_put_otherwise_and_changed_much(number: int, form: str) -> None:
    found = made("How many dogs does Ana have?", form.format(number))
    assert str(3 * number + 2) in found["corrupted"].replace(",", "")
    assert str(number) not in words(found["corrupted"])
    assert not any(character.isdigit() for character in found["vague"])
    if number < 100 and "$" not in form:
        assert str(number) not in found["paraphrase"]


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
def test_each_kind_of_gold_has_its_form(text: str, gold: str, right: str, wrong: str | None) -> None:
    found = made(text, gold)
    assert found["paraphrase"] == right
    assert wrong is None or found["corrupted"] == wrong


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
def test_what_may_be_no_number_date_or_list_stays_as_it_is(text: str, gold: str) -> None:
    assert gold.lower() in made(text, gold)["paraphrase"].lower()


def test_a_text_is_corrupted_with_another_answer_of_its_kind_and_never_with_one_from_the_same_conversation() -> None:
    text, gold = "Where was Ana born?", "In a village near Lyon"
    near = question("Where was Ben born?", "In a hospital", number=1)
    alike = question("Where was Cleo born?", "In a village in Peru", conversation="c2")
    when = question("When was Cleo born?", "In a cold winter", conversation="c3")
    assert "corrupted" not in made(text, gold, near, alike, when)
    far = question("Where was Dora born?", "In an old lighthouse", conversation="c4")
    assert made(text, gold, near, alike, when, far)["corrupted"] == "In an old lighthouse."


@pytest.mark.parametrize("text", ["How did Ana feel?", "Why did Ana go?", "What does Ana think of it?"])
def test_where_two_answers_may_say_the_same_none_is_borrowed(text: str) -> None:
    assert "corrupted" not in made(text, "Touched", question(text, "Grateful", conversation="c2"))


def test_none_is_made_where_the_verdict_is_not_certain() -> None:
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
def test_probes_of_the_synthetic_data_keep_their_promises(seed: int) -> None:
    rng = random.Random(seed)
    some = rng.sample(synthetic(), 150)
    probes = make_probes(some, size=12, seed=seed)
    shuffled = rng.sample(some, len(some))
    assert make_probes(shuffled, size=12, seed=seed) == probes
    for probe in probes:
        gold = set(content_stems(probe.question.gold.split(". ")[0]))
        assert not probe.question.unanswerable and probe.question.category != "single-session-preference"
        assert probe.expected == (probe.kind == "paraphrase") and probe.answer.strip()
        if not probe.expected:
            assert not gold <= set(content_stems(probe.answer))
        if probe.kind == "vague":
            assert not gold & set(content_stems(probe.answer))
    assert len({probe.question.id for probe in probes}) == 12


def test_the_categories_have_equal_parts() -> None:
    some = [asked for asked in synthetic() if asked.id.startswith("synthetic-")]
    counts = Counter(asked.category for asked, _ in groupby(make_probes(some, seed=0), lambda probe: probe.question))
    assert counts == dict.fromkeys(("multi-hop", "open-domain", "single-hop", "temporal"), 3)


def test_another_seed_draws_other_questions() -> None:
    drawn = [{probe.question.id for probe in make_probes(synthetic(), seed=seed)} for seed in range(3)]
    assert drawn[0] != drawn[1] != drawn[2]


def test_the_offline_judge_passes_most_of_it() -> None:
    """No proof of it, but a sieve: probes that read wrong would show."""
    probes = make_probes(synthetic(), size=60, seed=0)
    summary = summarise_probe(asyncio.run(run_probe(OfflineJudge(), probes, 1)))
    assert summary["errors"] == 0
    assert summary["by_kind"]["paraphrase"]["rate"] < 0.2
    assert summary["by_kind"]["vague"]["rate"] < 0.2
    assert summary["by_kind"]["corrupted"]["rate"] < 0.2


anything = st.text(max_size=30) | st.lists(
    st.sampled_from(
        "When what which came first , or a Ana's 31 February 2023 yes $3 once % the of and ... \ud800 \x00".split()
    )
).map(" ".join)


@given(st.lists(st.tuples(anything, anything, st.sampled_from("ab")), max_size=6), st.integers(0, 3))
def test_any_questions_can_be_probed(texts: list[tuple[str, str, str]], seed: int) -> None:
    asked = [question(t, g, number=i, conversation=c) for i, (t, g, c) in enumerate(texts)]
    probes = make_probes(asked, seed=seed)
    assert probes == make_probes(asked[::-1], seed=seed)
    for probe in probes:
        assert probe.kind != "corrupted" or not set(content_stems(probe.question.gold) or [""]) <= set(
            content_stems(probe.answer)
        )


# --- asking -------------------------------------------------------------------------------------------------------


class _Judge:
    """Accepts all; fails at some; remembers how many were under way."""

    name, agreement = "double", ""

    def __init__(self, fails: Exception | None = None) -> None:
        self.fails, self.now, self.most = fails, 0, 0

    async def judge(self, question: Question, answer: str) -> Verdict:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(20 + len(answer) % 3):
            await asyncio.sleep(0)
        self.now -= 1
        if self.fails and question.text == "fails":
            raise self.fails
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


def test_calls_overlap_up_to_the_limit_and_a_failed_one_is_an_error() -> None:
    judge = _Judge(ValueError("no"))
    results = asyncio.run(run_probe(judge, _PROBES, 4))
    assert judge.most == 4
    assert [result.probe for result in results] == _PROBES
    assert [result.error for result in results] == ["ValueError: no" if i == 2 else None for i in range(9)]
    assert all(result.verdict and result.verdict.reason == "x" * i for i, result in enumerate(results) if i != 2)
    line = json.loads(json.dumps(results[2].to_json()))
    assert line == {
        "question_id": "c1:q2", "kind": "vague", "question": "fails", "gold": "g", "answer": "xx", "expected": False,
        "correct": None, "reason": None, "error": "ValueError: no",
    }  # fmt: skip


def test_what_stops_a_run_stops_the_probe() -> None:
    with pytest.raises(UserError, match="the key"):
        asyncio.run(run_probe(_Judge(UserError("the key is refused")), _PROBES, 4))


def _results(
    paraphrases: Sequence[bool | None], vague: Sequence[bool | None], corrupted: Sequence[bool | None]
) -> list[ProbeResult]:
    kinds = [("paraphrase", paraphrases), ("vague", vague), ("corrupted", corrupted)]
    return [
        ProbeResult(
            Probe(question("?", "g"), kind, "a", kind == "paraphrase"),  # type: ignore[arg-type]
            None if said is None else Verdict(said, (said,), ""),
            "Error" if said is None else None,
        )
        for kind, verdicts in kinds
        for said in verdicts
    ]


def test_the_summary_and_its_sentence() -> None:
    summary = summarise_probe(_results([True] * 12, [True] * 2 + [False] * 10, [False] * 12))
    wilson = scipy_stats.binomtest(2, 24).proportion_ci(method="wilson")
    assert summary["false_accept"] == {
        "n": 24, "count": 2, "rate": 2 / 24, "ci": pytest.approx([wilson.low, wilson.high])
    }  # fmt: skip
    assert (summary["n"], summary["errors"], summary["by_kind"]["vague"]["count"]) == (36, 0, 2)
    assert probe_note(json.loads(json.dumps(summary))) == (
        "Judge probe: accepted 2 of 24 wrong answers (8 %, 95 % interval 2–26: vague 2 of 12, corrupted 0 of 12) and "
        "rejected 0 of 12 right ones put otherwise (0 %, 0–24)."
    )


def test_the_sentence_where_there_is_little_to_say() -> None:
    assert probe_note(summarise_probe([])) == "Judge probe: there was no question to make answers from."
    assert probe_note(summarise_probe(_results([None], [], []))) == (
        "Judge probe: no answer could be graded; 1 of 1 calls failed."
    )
    assert probe_note(summarise_probe(_results([False], [None], []))) == (
        "Judge probe: rejected 1 of 1 right ones put otherwise (100 %, 95 % interval 21–100); 1 of 2 calls failed."
    )
    assert "corrupted" not in probe_note(summarise_probe(_results([], [True], [])))
