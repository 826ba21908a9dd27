"""The gate itself: every rule, checked for every backend."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engram_eval.compare.experiment import mismatches
from engram_eval.compare.paired_tests import FEW_CONVERSATIONS, Difference, difference
from engram_eval.errors import UserError
from engram_eval.gate.rules import Rule
from engram_eval.gate.scores import Metric, Scores, decimals
from engram_eval.metrics.paired_statistics import newcombe
from engram_eval.tables.text import plural

Outcome = Literal["holds", "FAILS", "cannot tell"]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule, checked for one backend. `before` and `now` are means; `difference` is now - before, or the ratio minus one.

    `margin` is in the unit of the difference. `better`: improved by more than the margin, and the interval agrees.
    """

    rule: Rule
    backend: str
    before: float
    now: float
    difference: Difference
    margin: float
    outcome: Outcome
    better: bool


def check_rules(
    now: Scores, before: Scores, rules: Sequence[Rule], names: Mapping[str, str], *, seed: int = 0
) -> list[RuleResult]:
    """Checks each rule for each backend that it is about. `names`: the run's name for a backend of the baseline.

    Raises UserError for scores that cannot be compared.
    """
    _require_same_experiment(now, before)
    for base, name in names.items():
        if base not in before.lines or name not in now.lines:
            where, missing = (before, base) if base not in before.lines else (now, name)
            raise UserError(
                f"--backend-map {name}={base}: {where.where} has no {missing!r}; it has {', '.join(where.lines)}"
            )
    checks = [(rule, base) for rule in rules for base in _backends(rule, before)]
    for base in dict.fromkeys(base for _, base in checks):
        _require_answers(now, before, names.get(base, base), base)
    return [_check(rule, names.get(base, base), base, now, before, seed) for rule, base in checks]


def _require_same_experiment(now: Scores, before: Scores) -> None:
    # An unknown part counts as a difference here: a gate must not pass what it cannot check.
    identities = {
        scores.where: {part: "unknown" if value is None else value for part, value in scores.experiment.items()}
        for scores in (now, before)
    }
    if different := mismatches(identities):
        raise UserError(
            f"{now.where} and {before.where} are not comparable: {'; '.join(map(str, different))}; check a run of the same "
            "experiment, or write the baseline again"
        )
    if now.questions != before.questions:
        common = len(now.questions.items() & before.questions.items())
        raise UserError(
            f"{now.where} and {before.where} are not comparable: {common:,} of {plural(len(before.questions), 'question')} of "
            f"the baseline are among the run's {len(now.questions):,}; check a run of the same questions"
        )


def _backends(rule: Rule, before: Scores) -> list[str]:
    """The baseline's names of the backends that a rule is about; for `*`, those for which the metric is known."""
    if rule.backend != "*" and rule.backend not in before.lines:
        raise UserError(
            f"{rule.where}: {before.where} has no backend {rule.backend!r}; it has {', '.join(before.lines)}"
        )
    candidates = list(before.lines) if rule.backend == "*" else [rule.backend]
    known = [base for base in candidates if before.has(rule.metric.measure, base)]
    if not known:
        fix = "write the baseline with --with-latency" if rule.metric.is_ratio else "leave the rule out"
        raise UserError(f"{rule.where}: {before.where} has no {rule.metric.name} of {', '.join(candidates)}; {fix}")
    categories = before.experiment["categories"]
    if rule.category is not None and rule.category not in categories:
        raise UserError(
            f"{rule.where}: 'category' is {rule.category!r}, not one of {', '.join(categories)}; name one of them"
        )
    return known


def _require_answers(now: Scores, before: Scores, name: str, base: str) -> None:
    if name not in now.lines:
        raise UserError(
            f"{now.where}: has no backend {base!r}, which {before.where} has; run it too, or name another for it with "
            f"--backend-map NAME={base}"
        )
    errors = [q for q, line in now.lines[name].items() if line is None and before.lines[base][q] is not None]
    if errors:
        raise UserError(
            f"{now.where}: {plural(len(errors), 'question')} of {name} ended in an error, but not in the baseline "
            f"({errors[0]}{' …' if len(errors) > 1 else ''}); ask them again with --resume"
        )


def _check(rule: Rule, name: str, base: str, now: Scores, before: Scores, seed: int) -> RuleResult:
    metric = rule.metric
    values, conversations = _paired_values(rule, name, base, now, before)
    mean_now, mean_before = (sum(side) / len(values) for side in zip(*values, strict=True))
    change = _difference(metric, values, conversations, seed)
    margin = rule.margin * abs(mean_before) if rule.relative and not metric.is_ratio else rule.margin
    sign = -1 if metric.measure.better == "high" else 1
    loss = sign * change.mean
    losses = sorted(sign * end for end in change.interval) if change.interval else [-math.inf, math.inf]
    outcome: Outcome = "holds" if loss <= margin else "FAILS" if losses[0] > margin else "cannot tell"
    return RuleResult(rule, name, mean_before, mean_now, change, margin, outcome, losses[1] < -margin)


def _paired_values(
    rule: Rule, name: str, base: str, now: Scores, before: Scores
) -> tuple[list[tuple[float, float]], list[str]]:
    """The values (now, before) of the questions that have both, and the questions' conversations."""
    measure = rule.metric.measure.name
    categories: Collection[str] = [rule.category] if rule.category is not None else before.experiment["headline"]
    column_now, column_before = now.columns.index(measure), before.columns.index(measure)
    values: list[tuple[float, float]] = []
    conversations: list[str] = []
    for question, (conversation, category) in before.questions.items():
        line, old_line = now.lines[name][question], before.lines[base][question]
        if category not in categories or line is None or old_line is None or (old := old_line[column_before]) is None:
            continue
        new = line[column_now]
        if new is None:
            raise UserError(
                f"{rule.where}: {now.where} has no {rule.metric.name} of {name} at {question}, but {before.where} has; look "
                "at its records"
            )
        values.append((new, old))
        conversations.append(conversation)
    if not values:
        raise UserError(
            f"{rule.where}: no question of {', '.join(categories)} has a {rule.metric.name} of {name} in both {now.where} and "
            f"{before.where}; leave the rule out"
        )
    return values, conversations


def _difference(
    metric: Metric, values: Sequence[tuple[float, float]], conversations: Sequence[str], seed: int
) -> Difference:
    """Exactly 0, with an interval of width 0, if every question has the same value as before: the run is deterministic."""
    if metric.is_ratio:
        shortest = 10 ** -decimals(metric.measure)  # what a baseline rounds to
        logs = [math.log(max(new, shortest) / max(old, shortest)) for new, old in values]
        change = difference(logs, conversations, seed=seed)
        ends = change.interval and (math.expm1(change.interval[0]), math.expm1(change.interval[1]))
        return Difference(math.expm1(change.mean), ends, change.n, change.rough)
    changes = [new - old for new, old in values]
    least = None
    if not any(changes):
        least = (0.0, 0.0)
    elif metric.measure.unit == "0 or 1":
        least = newcombe(*(sum(pair == cell for pair in values) for cell in ((1, 1), (1, 0), (0, 1), (0, 0))))
    return difference(changes, conversations, seed=seed, least=least)


def notes(results: Sequence[RuleResult], now: Scores, before: Scores, names: Mapping[str, str]) -> list[str]:
    """What a reader of the results must know, one sentence each."""
    lines = []
    for base in before.lines:
        old, new = before.settings[base], now.settings.get(names.get(base, base), {})
        changed = [
            f"{key} was {old.get(key)} and is {new.get(key)}" for key in {**old, **new} if old.get(key) != new.get(key)
        ]
        if changed and base not in names and base in now.lines:
            lines.append(f"{base}: its settings differ from the baseline's ({', '.join(changed)}).")
        if errors := sum(line is None for line in before.lines[base].values()):
            lines.append(
                f"{base}: {plural(errors, 'question')} ended in an error in the baseline and cannot be checked."
            )
    if any(result.difference.rough for result in results):
        lines.append(
            f"The intervals are rough: with fewer than {FEW_CONVERSATIONS} conversations, questions are resampled as if they "
            "were independent."
        )
    if any(result.outcome == "cannot tell" for result in results):
        lines.append(
            "Cannot tell: worse than the margin, but the interval is too wide to be sure. This does not fail; more "
            "questions would give a clearer result."
        )
    if better := list(dict.fromkeys(result.backend for result in results if result.better)):
        lines.append(
            f"Better than the baseline by more than the margin: {', '.join(better)}; write the baseline again to keep the gain."
        )
    return lines
