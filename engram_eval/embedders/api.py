"""Embeddings from an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engram_eval.embedders.embedder import Vectors
from engram_eval.llm.cost.metering import Meter

if TYPE_CHECKING:
    from engram_eval.llm import LLM


class LLMEmbedder:
    """An embedding model at an OpenAI-compatible endpoint. The client caches its vectors, times and costs."""

    def __init__(self, llm: LLM, model: str, meter: Meter, *, dimensions: int) -> None:
        self.name = f"openai:{model}"
        self.dimensions = dimensions
        self._llm, self._model, self._meter = llm, model, meter

    def metered(self, meter: Meter) -> LLMEmbedder:
        """The same model with another meter."""
        return LLMEmbedder(self._llm, self._model, meter, dimensions=self.dimensions)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        with self._meter.waiting():
            embedded = await self._llm.embed(role="embedder", model=self._model, texts=texts)
        self._meter.charge(embedded.latency_s, embedded.cost_usd)
        out: Vectors = embedded.vectors
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        np.divide(out, norms, out=out, where=norms > 0)
        return out
