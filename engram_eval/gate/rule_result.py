"""The gate itself: each rule, held for each backend."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engram_eval.compare.mismatches import differences
from engram_eval.compare.paired_tests import FEW, Difference, difference
from engram_eval.errors import UserError
from engram_eval.gate.rules import Rule
from engram_eval.gate.scores import BINARY, CATEGORIES, HEADLINE, SHORTEST_S, Metric, Scores
from engram_eval.metrics.stats import newcombe
from engram_eval.tables.text import plural

Outcome = Literal["holds", "FAILS", "cannot tell"]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule, held for one backend. `now` against `before`, as means; `difference` has its sign from now - before.

    `margin` in the unit of the difference. `better`: by more than the margin, and its interval says so too.
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
    """Each rule for each backend that it is about; `names`: what a backend of the baseline is called in the run.

    Raises UserError for what cannot be compared.
    """
    if unlike := differences({of.where: _told(of.experiment) for of in (now, before)}):
        raise UserError(
            f"{now.where} and {before.where} do not compare: {'; '.join(unlike)}; check a run of the same experiment, or "
            "write the baseline anew"
        )
    if now.questions != before.questions:
        common = len(now.questions.items() & before.questions.items())
        raise UserError(
            f"{now.where} and {before.where} do not compare: {common:,} of {plural(len(before.questions), 'question')} of "
            f"the baseline are among the run's {len(now.questions):,}; check a run of the same questions"
        )
    for base, name in names.items():
        if base not in before.lines or name not in now.lines:
            where, has = (before, base) if base not in before.lines else (now, name)
            raise UserError(
                f"--backend-map {name}={base}: {where.where} has no {has!r}; it has {', '.join(where.lines)}"
            )
    asked = [(rule, base) for rule in rules for base in _backends(rule, before)]
    for base in dict.fromkeys(base for _, base in asked):
        _require_answers(now, before, names.get(base, base), base)
    return [_find(rule, names.get(base, base), base, now, before, seed) for rule, base in asked]


def _told(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """What is not known of one and known of the other differs."""
    return {part: "unknown" if value is None else value for part, value in experiment.items()}


def _backends(rule: Rule, before: Scores) -> list[str]:
    """The baseline's names of those that a rule is about: of `*`, those for which the metric is known."""
    wanted = list(before.lines) if rule.backend == "*" else [rule.backend]
    if rule.backend != "*" and rule.backend not in before.lines:
        raise UserError(
            f"{rule.where}: {before.where} has no backend {rule.backend!r}; it has {', '.join(before.lines)}"
        )
    known = [base for base in wanted if before.has(rule.metric.column, base)]
    if not known:
        latency = "; write it with --with-latency" if rule.metric.ratio else "; leave the rule out"
        raise UserError(f"{rule.where}: {before.where} holds no {rule.metric.name} of {', '.join(wanted)}{latency}")
    categories = before.experiment[CATEGORIES]
    if rule.category is not None and rule.category not in categories:
        raise UserError(f"{rule.where}: category = {rule.category!r} is none of {', '.join(categories)}")
    return known


def _require_answers(now: Scores, before: Scores, name: str, base: str) -> None:
    if name not in now.lines:
        raise UserError(
            f"{now.where}: has no backend {base!r}, which {before.where} holds; run it too, or name another for it with "
            f"--backend-map NAME={base}"
        )
    errors = [q for q, line in now.lines[name].items() if line is None and before.lines[base][q] is not None]
    if errors:
        raise UserError(
            f"{now.where}: {plural(len(errors), 'question')} of {name} ended in an error and not in the baseline "
            f"({errors[0]}{' …' if len(errors) > 1 else ''}); ask them again with --resume"
        )


def _find(rule: Rule, name: str, base: str, now: Scores, before: Scores, seed: int) -> RuleResult:
    metric = rule.metric
    wanted: Collection[str] = [rule.category] if rule.category is not None else before.experiment[HEADLINE]
    at_now, at_before = now.columns.index(metric.column), before.columns.index(metric.column)
    pairs: list[tuple[float, float]] = []
    conversations: list[str] = []
    for question, (conversation, category) in before.questions.items():
        line, old_line = now.lines[name][question], before.lines[base][question]
        if category not in wanted or line is None or old_line is None or (old := old_line[at_before]) is None:
            continue
        new = line[at_now]
        if new is None:
            raise UserError(
                f"{rule.where}: {now.where} holds no {metric.name} of {name} at {question}, and {before.where} does; "
                "look at its records"
            )
        pairs.append((new, old))
        conversations.append(conversation)
    if not pairs:
        raise UserError(
            f"{rule.where}: no question of {', '.join(wanted)} has a {metric.name} of {name} in both {now.where} and "
            f"{before.where}; leave the rule out"
        )
    mean_now, mean_before = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    found = _difference(metric, pairs, conversations, seed)
    margin = rule.margin * abs(mean_before) if rule.relative and not metric.ratio else rule.margin
    sign = -1 if metric.better == "high" else 1
    loss = sign * found.mean
    losses = sorted(sign * end for end in found.interval) if found.interval else [-math.inf, math.inf]
    outcome: Outcome = "holds" if loss <= margin else "FAILS" if losses[0] > margin else "cannot tell"
    return RuleResult(rule, name, mean_before, mean_now, found, margin, outcome, losses[1] < -margin)


def _difference(
    metric: Metric, pairs: Sequence[tuple[float, float]], conversations: Sequence[str], seed: int
) -> Difference:
    """Exactly 0, and sure of it, where every question came out as before: a deterministic run asked again."""
    if metric.ratio:
        logs = [math.log(max(new, SHORTEST_S) / max(old, SHORTEST_S)) for new, old in pairs]
        found = difference(logs, conversations, seed=seed)
        ends = found.interval and (math.expm1(found.interval[0]), math.expm1(found.interval[1]))
        return Difference(math.expm1(found.mean), ends, found.n, found.rough)
    values = [new - old for new, old in pairs]
    least = None
    if not any(values):
        least = (0.0, 0.0)
    elif metric.column in BINARY:
        least = newcombe(*(sum(pair == cell for pair in pairs) for cell in ((1, 1), (1, 0), (0, 1), (0, 0))))
    return difference(values, conversations, seed=seed, least=least)


def notes(findings: Sequence[RuleResult], now: Scores, before: Scores, names: Mapping[str, str]) -> list[str]:
    """What a reader of the lines must know beside them."""
    said = []
    for base in before.lines:
        old, new = before.settings[base], now.settings.get(names.get(base, base), {})
        changed = [
            f"{key} was {old.get(key)} and is {new.get(key)}" for key in {**old, **new} if old.get(key) != new.get(key)
        ]
        if changed and base not in names and base in now.lines:
            said.append(f"{base}: its settings differ from the baseline's ({', '.join(changed)}).")
        if errors := sum(line is None for line in before.lines[base].values()):
            said.append(f"{base}: {plural(errors, 'question')} ended in an error in the baseline and cannot be held.")
    if any(finding.difference.rough for finding in findings):
        said.append(
            f"The intervals are rough: of fewer than {FEW} conversations, questions are drawn as if each stood for itself."
        )
    if any(finding.outcome == "cannot tell" for finding in findings):
        said.append(
            "Cannot tell: worse than the margin, but not surely so; it does not fail, and more questions would tell."
        )
    if better := list(dict.fromkeys(finding.backend for finding in findings if finding.better)):
        said.append(
            f"Better than the baseline by more than the margin: {', '.join(better)}; write it anew to hold that too."
        )
    return said
