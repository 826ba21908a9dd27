"""What a caller gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Completion:
    """`data`: the parsed JSON if a schema was asked for. Of a cached answer, tokens, cost and latency are those of the
    call that first got it; latency is that of the attempt that succeeded, without waiting for limits or retries."""

    text: str
    data: Any | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    """None for a model without a price."""
    latency_s: float
    cached: bool
