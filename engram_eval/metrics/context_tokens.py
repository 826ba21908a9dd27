"""Context tokens: the length of the context in the answer model's tokenizer, without the prompt around it."""

from __future__ import annotations

from engram_eval.metrics.measure import Measure
from engram_eval.tables.numbers import whole

CONTEXT_TOKENS = Measure(
    "context_tokens", "tokens", lambda record: record.context_tokens, whole, "low", "spread",
    unit="count", gate="difference",
)  # fmt: skip
