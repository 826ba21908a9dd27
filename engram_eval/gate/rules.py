"""Rules: which metric may be worse than the baseline, and by how much."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from engram_eval.errors import UserError
from engram_eval.gate.scores import Metric, Scores, metrics
from engram_eval.system.files import read_bytes
from engram_eval.system.validation import validate, validate_toml

_FIX = "docs/ci.md describes what a rule has"
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True, slots=True)
class Rule:
    """`margin` is in the metric's own unit, or with `relative` a share of the baseline's mean. `where` is for messages."""

    metric: Metric
    backend: str
    category: str | None
    margin: float
    relative: bool
    where: str

    def __str__(self) -> str:
        margin = f"{100 * self.margin:g}%" if self.relative else f"{self.margin:g}"
        return f"{self.metric.name}{f' of {self.category}' if self.category else ''} within {margin}"


def _parse_margin(margin: Any) -> float | str:
    is_number = isinstance(margin, int | float) and not isinstance(margin, bool) and 0 <= margin < math.inf
    if not is_number and not (isinstance(margin, str) and _PERCENT.fullmatch(margin)):
        raise ValueError('not a number from 0, nor a share such as "5%"')
    return float(margin) if is_number else str(margin)


def _parse_metric(name: Any) -> str:
    if name not in (known := list(metrics())):
        raise ValueError(f"not one of {', '.join(known)}")
    return str(name)


class _RuleTable(BaseModel):
    """A `[[rule]]` of a file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    metric: Annotated[str, BeforeValidator(_parse_metric)]
    backend: str = "*"
    category: str | None = None
    margin: Annotated[float | str, BeforeValidator(_parse_margin)]


def read_rules(path: Path) -> list[Rule]:
    """The rules of a TOML file. Raises UserError, which names the rule, for anything that is not a rule."""
    content = validate_toml(dict[str, Any], read_bytes(path, fix=_FIX), where=str(path), fix=_FIX)
    tables = content.pop("rule", None)
    if content:
        raise UserError(f"{path}: {next(iter(content))!r} is not a known key; write each rule as a table [[rule]]")
    if not isinstance(tables, list) or not tables:
        raise UserError(f"{path}: has no rules; write each as a table [[rule]]")
    rules = []
    for number, table in enumerate(tables, start=1):
        where = f"{path}: rule {number}"
        rules.append(_rule(validate(_RuleTable, table, where=where, fix=_FIX), where))
    return rules


def default_rules(before: Scores) -> list[Rule]:
    """Two points of accuracy and evidence recall, 5 % of tokens, 10 % of cost and half of latency, where the baseline has them.

    There is no rule on cost if nothing cost anything.
    """
    margins: dict[str, float | str] = {
        "accuracy": 0.02, "evidence_recall": 0.02, "context_tokens": "5%", "cost_usd": "10%", "latency_ratio": 0.5,
    }  # fmt: skip
    known = metrics()
    return [
        _rule(_RuleTable(metric=name, margin=margin), "the default rules")
        for name, margin in margins.items()
        if any(before.has(known[name].measure, label, above_0=name == "cost_usd") for label in before.lines)
    ]


def _rule(table: _RuleTable, where: str) -> Rule:
    metric, margin, relative = metrics()[table.metric], table.margin, False
    if isinstance(margin, str):
        share = _PERCENT.fullmatch(margin)
        assert share is not None  # checked by the model
        margin, relative = float(share[1]) / 100, True
    if margin >= 1 and not relative and metric.measure.unit in ("0 or 1", "share"):
        raise UserError(
            f"{where}: 'margin' is {margin:g}, which lets any share pass; write 0.01 for one point, or \"5%\" of the baseline"
        )
    return Rule(metric, table.backend, table.category, margin, relative, where)
