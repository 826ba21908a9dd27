"""Asks the judge about the probe answers and counts its errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engram_eval.judges.grade import grade
from engram_eval.judges.judge import Judge
from engram_eval.judges.probe.sampling import Probe, make_probes
from engram_eval.metrics.intervals import wilson
from engram_eval.results.probe import ErrorRate, ErrorRatesByKind, ProbeResult, ProbeSummary
from engram_eval.types import Question, Verdict


async def probe_judge(
    judge: Judge, questions: Sequence[Question], *, seed: int, limit: int
) -> tuple[ProbeSummary, list[ProbeResult]]:
    """Makes probes from the questions and runs them. Makes up to `limit` calls at a time."""
    results = await run_probe(judge, make_probes(questions, seed=seed), limit)
    return summarise_probe(results), results


async def run_probe(judge: Judge, probes: Sequence[Probe], limit: int) -> list[ProbeResult]:
    """The results in the order of the probes. Makes up to `limit` calls at a time. A UserError stops the rest and is raised."""
    verdicts = await grade([(judge, probe.question, probe.answer) for probe in probes], limit)
    return [_result(probe, verdict) for probe, verdict in zip(probes, verdicts, strict=True)]


def _result(probe: Probe, verdict: Verdict | Exception) -> ProbeResult:
    if isinstance(verdict, Exception):
        correct, reason, error = None, None, f"{type(verdict).__name__}: {verdict}"
    else:
        correct, reason, error = verdict.correct, verdict.reason, None
    question = probe.question
    return ProbeResult(
        question_id=question.id,
        kind=probe.kind,
        question=question.text,
        gold=question.gold,
        answer=probe.answer,
        expected=probe.expected,
        correct=correct,
        reason=reason,
        error=error,
    )


def summarise_probe(results: Sequence[ProbeResult]) -> ProbeSummary:
    """How often the judge erred, by the right verdict and by the kind of answer."""
    graded = [result for result in results if result.correct is not None]

    def error_rate(included: Callable[[ProbeResult], bool]) -> ErrorRate:
        wrong = [result.correct != result.expected for result in graded if included(result)]
        n, count = len(wrong), sum(wrong)
        if not n:
            return ErrorRate(n=0, count=0, rate=None, ci=(None, None))
        return ErrorRate(n=n, count=count, rate=count / n, ci=wilson(count, n))

    n, errors = len(results), len(results) - len(graded)
    false_accept = error_rate(lambda result: not result.expected)
    false_reject = error_rate(lambda result: result.expected)
    by_kind = ErrorRatesByKind(
        paraphrase=error_rate(lambda result: result.kind == "paraphrase"),
        vague=error_rate(lambda result: result.kind == "vague"),
        corrupted=error_rate(lambda result: result.kind == "corrupted"),
        adversarial=error_rate(lambda result: result.kind == "adversarial"),
    )
    return ProbeSummary(
        n=n,
        errors=errors,
        false_accept=false_accept,
        false_reject=false_reject,
        by_kind=by_kind,
        note=_note(n, errors, false_accept, false_reject, by_kind),
    )


def _note(n: int, errors: int, false_accept: ErrorRate, false_reject: ErrorRate, by_kind: ErrorRatesByKind) -> str:
    """The figures in one sentence, to print under the tables."""
    findings = []
    if false_accept.n:
        rates = (("vague", by_kind.vague), ("corrupted", by_kind.corrupted), ("adversarial", by_kind.adversarial))
        kinds = ", ".join(f"{kind} {rate.count} of {rate.n}" for kind, rate in rates if rate.n)
        findings.append(
            f"accepted {false_accept.count} of {false_accept.n} wrong answers "
            f"({_percent(false_accept)}, 95 % interval {_interval(false_accept)}: {kinds})"
        )
    if false_reject.n:
        label = "" if findings else "95 % interval "
        findings.append(
            f"rejected {false_reject.count} of {false_reject.n} right answers in other words "
            f"({_percent(false_reject)}, {label}{_interval(false_reject)})"
        )
    if findings:
        result = f"the judge {' and '.join(findings)}"
    else:
        result = "no answer could be graded" if errors else "no question was suitable for it"
    failures = f"; {errors} of {n} calls failed" if errors else ""
    return f"Judge probe: {result}{failures}."


def _percent(error_rate: ErrorRate) -> str:
    return f"{100 * error_rate.count / error_rate.n:.0f} %"


def _interval(error_rate: ErrorRate) -> str:
    return "–".join(f"{100 * end:.0f}" for end in error_rate.ci if end is not None)
