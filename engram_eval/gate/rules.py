"""Rules: which metric may be how much worse."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError
from engram_eval.gate.scores import DIGITS, METRICS, Metric, Scores


@dataclass(frozen=True, slots=True)
class Rule:
    """`margin` in the metric's own unit, or if `relative` a share of the baseline's mean. `where`: for messages."""

    metric: Metric
    backend: str
    category: str | None
    margin: float
    relative: bool
    where: str

    def __str__(self) -> str:
        margin = f"{100 * self.margin:g}%" if self.relative else f"{self.margin:g}"
        return f"{self.metric.name}{f' of {self.category}' if self.category else ''} within {margin}"


def default_rules(before: Scores) -> list[Rule]:
    """Of what the baseline holds: two points of accuracy and evidence recall, 5 % of tokens, 10 % of cost, half of latency.

    Nothing of a cost where nothing cost anything.
    """
    margins: dict[str, float | str] = {
        "accuracy": 0.02, "evidence_recall": 0.02, "context_tokens": "5%", "cost_usd": "10%", "latency_ratio": 0.5,
    }  # fmt: skip
    return [
        _rule({"metric": name, "margin": margin}, "the default rules")
        for name, margin in margins.items()
        if any(before.has(METRICS[name].column, label, but_0=name == "cost_usd") for label in before.lines)
    ]


def read_rules(path: Path) -> list[Rule]:
    """Raises UserError, naming the rule, for whatever is not understood."""
    try:
        found = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); see benchmarks/check.toml for an example"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: is not TOML ({error}); see benchmarks/check.toml for an example") from None
    rules = found.get("rule")
    if not isinstance(rules, list) or not rules or found.keys() != {"rule"}:
        raise UserError(f"{path}: holds no rules, or more than rules; write each as a table [[rule]]")
    return [_rule(values, f"{path}: rule {number}") for number, values in enumerate(rules, start=1)]


def _rule(values: Any, where: str) -> Rule:
    known = ("metric", "backend", "category", "margin")
    if not isinstance(values, dict) or (unknown := values.keys() - set(known)):
        what = f"has no {', '.join(sorted(unknown))}" if isinstance(values, dict) else "is no table"
        raise UserError(f"{where}: a rule {what}; its keys are {', '.join(known)}")
    if not isinstance(values.get("metric"), str) or values["metric"] not in METRICS:
        raise UserError(f"{where}: metric = {values.get('metric')!r} is none of {', '.join(METRICS)}")
    for key in ("backend", "category"):
        if not isinstance(values.get(key, ""), str):
            raise UserError(f"{where}: {key} = {values[key]!r} is not text; name one, or leave it out")
    margin, relative = values.get("margin"), False
    if isinstance(margin, str) and (share := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", margin)):
        margin, relative = float(share[1]) / 100, True
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < math.inf:
        raise UserError(f'{where}: margin = {margin!r} is not a number from 0, nor a share such as "5%"')
    metric = METRICS[values["metric"]]
    if margin >= 1 and not relative and not metric.ratio and metric.column not in DIGITS:
        raise UserError(f'{where}: margin = {margin!r} of a share lets everything pass; one point is 0.01, or say "5%"')
    return Rule(metric, values.get("backend", "*"), values.get("category"), margin, relative, where)
