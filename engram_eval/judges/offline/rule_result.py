"""What the rule for a kind of gold says about an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The features of one answer by name, the reason for them in words, and whether the rule alone says that it is wrong."""

    features: Mapping[str, float]
    reason: str
    ruled_out: bool = False
