"""What the judge of a run is worth: answers whose right verdict is known are put to it beside those that are measured.

From a question and its gold three answers are made: a *paraphrase* of the gold, which is right; a *vague* one, which
takes up the question's topic and states nothing; and a *corrupted* gold, which states another fact. The audit
dial481/locomo-audit found a generous judge accepting 62.8 % of vague, topical, wrong answers. Where it is not certain what
the verdict must be, no answer is made: of preferences, of questions without an answer, of how somebody felt.

Benchmarks forgive some errors, and so what is corrupted is far off: LoCoMo's judge accepts another form of the same
month or year, so dates move by a year at least and to another month; LongMemEval's lets counts off by one pass, so that a
number n becomes 3n + 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from engram_eval.judges.grade import grade
from engram_eval.judges.judge import Judge
from engram_eval.judges.offline.abstention import abstains
from engram_eval.judges.probe.altered_answers import corrupted, paraphrase, vague
from engram_eval.judges.probe.rewriting import Pick, by_hash
from engram_eval.language.words import words
from engram_eval.metrics.intervals import wilson
from engram_eval.types import Question, Verdict

Kind = Literal["paraphrase", "vague", "corrupted"]

_LONGEST = 300  # characters of a gold; what is longer is an essay, of which parts may be right


@dataclass(frozen=True, slots=True)
class Probe:
    """An answer made for its verdict: `expected` is what a sound judge says."""

    question: Question
    kind: Kind
    answer: str
    expected: bool


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the judge said of it, or the error in which the call ended."""

    probe: Probe
    verdict: Verdict | None
    error: str | None

    def to_json(self) -> dict[str, Any]:
        """A line of probe.jsonl; `correct` is the judge's verdict, null for an error."""
        question = self.probe.question
        return {
            "question_id": question.id,
            "kind": self.probe.kind,
            "question": question.text,
            "gold": question.gold,
            "answer": self.probe.answer,
            "expected": self.probe.expected,
            "correct": self.verdict.correct if self.verdict else None,
            "reason": self.verdict.reason if self.verdict else None,
            "error": self.error,
        }


# --- asking and counting ----------------------------------------------------------------------------------------


async def probe_judge(
    judge: Judge, questions: Sequence[Question], *, seed: int, limit: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a run's manifest says of its judge, and a line for each answer that was put to it."""
    results = await run_probe(judge, make_probes(questions, seed=seed), limit)
    summary = summarise_probe(results)
    return {**summary, "note": probe_note(summary)}, [result.to_json() for result in results]


async def run_probe(judge: Judge, probes: Sequence[Probe], limit: int) -> list[ProbeResult]:
    """The judge's verdicts in the order of the probes, up to `limit` calls at a time. A UserError stops it, and is raised."""
    verdicts = await grade([(judge, probe.question, probe.answer) for probe in probes], limit)
    return [
        ProbeResult(probe, None, f"{type(verdict).__name__}: {verdict}")
        if isinstance(verdict, Exception)
        else ProbeResult(probe, verdict, None)
        for probe, verdict in zip(probes, verdicts, strict=True)
    ]


def summarise_probe(results: Sequence[ProbeResult]) -> dict[str, Any]:
    """How often the judge erred, by what it should have said and by kind: `count` errors of `n`, rate and interval from 0 to 1.

    {"n", "errors", "false_accept": share, "false_reject": share, "by_kind": {kind: share}}; a share is {"n", "count", "rate",
    "ci": [low, high]} with Wilson's 95 % interval, null where n is 0. Failed calls are in `errors` and in no share.
    """
    said = [(result.probe, result.verdict.correct) for result in results if result.verdict]

    def share(chosen: Callable[[Probe], bool]) -> dict[str, Any]:
        wrong = [correct != probe.expected for probe, correct in said if chosen(probe)]
        n, count = len(wrong), sum(wrong)
        return {
            "n": n,
            "count": count,
            "rate": count / n if n else None,
            "ci": list(wilson(count, n)) if n else [None, None],
        }

    kinds: tuple[Kind, ...] = ("paraphrase", "vague", "corrupted")
    return {
        "n": len(results),
        "errors": len(results) - len(said),
        "false_accept": share(lambda probe: not probe.expected),
        "false_reject": share(lambda probe: probe.expected),
        "by_kind": {kind: share(lambda probe, kind=kind: probe.kind == kind) for kind in kinds},  # type: ignore[misc]
    }


def probe_note(summary: Mapping[str, Any]) -> str:
    """The summary in one sentence, for under the table."""
    accepted, rejected, by_kind = summary["false_accept"], summary["false_reject"], summary["by_kind"]
    told = []
    if accepted["n"]:
        kinds = ", ".join(
            f"{kind} {by_kind[kind]['count']} of {by_kind[kind]['n']}"
            for kind in ("vague", "corrupted")
            if by_kind[kind]["n"]
        )
        interval = f", 95 % interval {_interval(accepted)}: {kinds}"
        told.append(f"accepted {accepted['count']} of {accepted['n']} wrong answers ({_percent(accepted)}{interval})")
    if rejected["n"]:
        first = "" if told else ", 95 % interval"
        told.append(
            f"rejected {rejected['count']} of {rejected['n']} right ones put otherwise "
            f"({_percent(rejected)}{first or ','} {_interval(rejected)})"
        )
    if not told:
        told.append("no answer could be graded" if summary["errors"] else "there was no question to make answers from")
    errors = f"; {summary['errors']} of {summary['n']} calls failed" if summary["errors"] else ""
    return f"Judge probe: {' and '.join(told)}{errors}."


def _percent(share: Mapping[str, Any]) -> str:
    return f"{100 * share['rate']:.0f} %"


def _interval(share: Mapping[str, Any]) -> str:
    low, high = share["ci"]
    return f"{100 * low:.0f}–{100 * high:.0f}"


# --- choosing ----------------------------------------------------------------------------------------------------


def make_probes(questions: Sequence[Question], *, size: int = 12, seed: int) -> list[Probe]:
    """Up to three answers to each of `size` questions, drawn by hash, as evenly over the categories as these allow.

    The same questions give the same probes in whatever order they come. Those from which all three can be made go first.
    """
    usable = sorted(filter(_usable, questions), key=lambda q: (by_hash(seed, q.id, q.text, q.gold), q.id))
    categories = sorted({question.category for question in usable})
    makers = [_complete_first([q for q in usable if q.category == category], usable, seed) for category in categories]
    turns = (made for turn in zip_longest(*makers) for made in turn if made)
    return [probe for made, _ in zip(turns, range(size), strict=False) for probe in made]


def _usable(question: Question) -> bool:
    return (
        not question.unanswerable
        and bool(words(question.text))
        and bool(words(question.gold))
        and len(question.gold) <= _LONGEST
        and not abstains(question.gold)
    )


def _complete_first(asked: Sequence[Question], usable: Sequence[Question], seed: int) -> Iterator[list[Probe]]:
    rest = []
    for question in asked:
        probes = _probes_of(question, usable, seed)
        if len(probes) == 3:
            yield probes
        elif probes:
            rest.append(probes)
    yield from sorted(rest, key=len, reverse=True)


def _probes_of(question: Question, others: Sequence[Question], seed: int) -> list[Probe]:
    pick = Pick(seed, question)
    answers: tuple[tuple[Kind, str | None, bool], ...] = (
        ("paraphrase", paraphrase(question, pick), True),
        ("vague", vague(question, pick), False),
        ("corrupted", corrupted(question, others, pick), False),
    )
    return [Probe(question, kind, answer, expected) for kind, answer, expected in answers if answer]
