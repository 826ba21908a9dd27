"""Rules: which metric may be worse than the baseline, and by how much."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engram_eval.errors import UserError
from engram_eval.gate.scores import METRICS, Metric, Scores
from engram_eval.system.validation import validate_toml

_FIX = "see benchmarks/check.toml for an example"
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


class _RuleTable(BaseModel):
    """A `[[rule]]` of a file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    metric: str
    backend: str = "*"
    category: str | None = None
    margin: float | str

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in METRICS:
            raise ValueError(f"not one of {', '.join(METRICS)}")
        return name

    @field_validator("margin")
    @classmethod
    def _margin(cls, margin: float | str) -> float | str:
        if isinstance(margin, str) and not _PERCENT.fullmatch(margin):
            raise ValueError('not a number from 0, nor a share such as "5%"')
        if isinstance(margin, float) and not 0 <= margin < math.inf:
            raise ValueError('not a number from 0, nor a share such as "5%"')
        return margin


class _RulesFile(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    rule: list[_RuleTable] = Field(min_length=1)


def read_rules(path: Path) -> list[Rule]:
    """The rules of a TOML file. Raises UserError, which names the rule, for anything that is not a rule."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_FIX}") from None
    rules = validate_toml(_RulesFile, content, where=str(path), fix=_FIX).rule
    return [_rule(table, f"{path}: rule {number}") for number, table in enumerate(rules, start=1)]


def default_rules(before: Scores) -> list[Rule]:
    """Two points of accuracy and evidence recall, 5 % of tokens, 10 % of cost and half of latency, where the baseline has them.

    There is no rule on cost if nothing cost anything.
    """
    margins: dict[str, float | str] = {
        "accuracy": 0.02, "evidence_recall": 0.02, "context_tokens": "5%", "cost_usd": "10%", "latency_ratio": 0.5,
    }  # fmt: skip
    return [
        _rule(_RuleTable(metric=name, margin=margin), "the default rules")
        for name, margin in margins.items()
        if any(before.has(METRICS[name].measure, label, above_0=name == "cost_usd") for label in before.lines)
    ]


def _rule(table: _RuleTable, where: str) -> Rule:
    metric, margin, relative = METRICS[table.metric], table.margin, False
    if isinstance(margin, str):
        share = _PERCENT.fullmatch(margin)
        assert share is not None  # checked by the model
        margin, relative = float(share[1]) / 100, True
    if margin >= 1 and not relative and metric.is_share:
        raise UserError(
            f'{where}: margin = {table.margin!r} lets any share pass; write 0.01 for one point, or "5%" of the baseline'
        )
    return Rule(metric, table.backend, table.category, margin, relative, where)
