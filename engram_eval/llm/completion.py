"""The answer to a chat call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Completion:
    """`data`: the parsed JSON, if the call had a schema. Tokens, cost and latency of a cached answer are those of the call
    that first got it. Latency is that of the successful attempt, without the waits for limits and retries."""

    text: str
    data: Any | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    """None for a model without a price."""
    latency_s: float
    cached: bool
    reasoning_removed: bool = False
    """Whether the text held the model's reasoning, which is no part of `text`."""
    first_token_s: float | None = None
    """Seconds until the first token; None if the server does not tell."""
    server_cached_tokens: int = 0
    """The tokens of the prompt that the server had in its own cache, which makes an answer faster."""
