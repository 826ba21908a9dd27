"""Embeddings, requested in batches and cached text by text, so that other batches find them again."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engram_eval.llm.cache.keys import embedding_key
from engram_eval.llm.cache.response_cache import ResponseCache, Vector
from engram_eval.llm.cache.single_flight import SingleFlight
from engram_eval.llm.calls import Calls, Reply, Request, Usage
from engram_eval.llm.chat_reply import read_usage
from engram_eval.llm.cost.prices import Prices
from engram_eval.llm.cost.token_estimates import Estimates, plain_count
from engram_eval.llm.errors import CacheMiss, LLMError
from engram_eval.llm.transport import HTTPStatusError, TransportError

_BATCH_TEXTS = 256
_BATCH_CHARACTERS = 200_000  # OpenAI takes 300,000 tokens a request; in some scripts a character is more than one token
_ANY_TEXT = "."  # embedded to learn the width if all texts are blank

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Embedded:
    """`vectors`: rows in the order of the texts, as the server scales them; all zeros for a blank text.

    Tokens, cost and latency are sums over the texts, cached or not: of each, its share of the request in which it was
    first embedded. A repeated text counts once, a blank one not at all. `cached`: no request was sent.
    """

    vectors: Vectors
    prompt_tokens: int
    cost_usd: float | None
    latency_s: float
    cached: bool


@dataclass(frozen=True, slots=True)
class _Batch:
    keys: tuple[bytes, ...]
    texts: tuple[str, ...]


class Embeddings:
    """`calls` is None in a replay. `used_keys`: the cache keys of all texts embedded so far."""

    def __init__(self, endpoint: str, calls: Calls | None, cache: ResponseCache, prices: Prices, estimates: Estimates):
        self._endpoint, self._calls, self._cache = endpoint, calls, cache
        self._prices, self._estimates = prices, estimates
        self.used_keys: set[bytes] = set()
        self._numbers_only: set[str] = set()  # models whose server does not accept encoding_format
        self._batches: dict[bytes, _Batch] = {}  # in flight, by the key of each text
        self._single_flight: SingleFlight[tuple[bytes, ...], tuple[dict[bytes, Vector], int]] = SingleFlight()

    async def embed(self, model: str, texts: Sequence[str]) -> tuple[Embedded, list[tuple[int, bool]]]:
        """The rows, and (tokens, cached) of each request behind them; all cached texts count as one request."""
        if not texts:
            return Embedded(np.zeros((0, 0), np.float32), 0, 0.0, 0.0, True), []
        keyed = {text: embedding_key(self._endpoint, model, text) for text in texts if text.strip()}
        text_keys = list(keyed.values())
        keyed = keyed or {_ANY_TEXT: embedding_key(self._endpoint, model, _ANY_TEXT)}
        known = self._cache.get_vectors(list(keyed.values()))
        requests = [(sum(vector.prompt_tokens for vector in known.values()), True)] if known else []
        missing = {key: text for text, key in keyed.items() if key not in known}
        for vectors, tokens, cached in await self._fetch_all(model, missing):
            known.update(vectors)
            requests.append((tokens, cached))
        self.used_keys.update(known)
        widths = {len(vector.values) for vector in known.values()}
        if len(widths) != 1:
            raise LLMError(f"{model} at {self._endpoint} gave embeddings of different lengths: {sorted(widths)}")
        out = np.zeros((len(texts), widths.pop()), np.float32)
        for row, text in enumerate(texts):
            if text.strip():
                out[row] = known[keyed[text]].values
        tokens = sum(known[key].prompt_tokens for key in text_keys)
        price = self._prices.of(model)
        cost, latency = price.cost(tokens, 0) if price else None, sum(known[key].latency_s for key in text_keys)
        return Embedded(out, tokens, cost, latency, all(cached for _, cached in requests)), requests

    async def close(self) -> None:
        await self._single_flight.cancel()

    async def _fetch_all(self, model: str, missing: Mapping[bytes, str]) -> list[tuple[dict[bytes, Vector], int, bool]]:
        if not missing:
            return []
        if (calls := self._calls) is None:
            raise CacheMiss(
                f"the response cache lacks {len(missing)} embeddings of {model} at {self._endpoint}, the first of "
                f"{next(iter(missing.values()))[:60]!r}"
            )
        for batch in _batches({key: text for key, text in missing.items() if key not in self._batches}):
            self._batches.update(dict.fromkeys(batch.keys, batch))

        async def fetch(batch: _Batch) -> tuple[dict[bytes, Vector], int, bool]:
            (vectors, tokens), joined = await self._single_flight.join(
                batch.keys, lambda: self._fetch(calls, model, batch)
            )
            return {key: vectors[key] for key in missing.keys() & vectors.keys()}, 0 if joined else tokens, joined

        fetches = [asyncio.create_task(fetch(batch)) for batch in dict.fromkeys(self._batches[key] for key in missing)]
        try:
            return list(await asyncio.gather(*fetches))
        finally:
            for task in fetches:  # after a failure, the others are no longer needed
                task.cancel()
            await asyncio.gather(*fetches, return_exceptions=True)

    async def _fetch(self, calls: Calls, model: str, batch: _Batch) -> tuple[dict[bytes, Vector], int]:
        try:
            counted = self._estimates.count(model, batch.texts) if calls.counts_tokens else 0

            def request() -> Request:
                body: dict[str, Any] = {"model": model, "input": list(batch.texts)}
                if model not in self._numbers_only:
                    body["encoding_format"] = "base64"  # a third of the bytes, and no parsing of numbers
                return Request("/embeddings", body, self._prices.of(model), self._estimates.bound(model, counted), 0)

            def read(content: dict[str, Any]) -> Reply[list[Vectors]]:
                usage = read_usage(content) or Usage(sum(plain_count(model, text) for text in batch.texts), 0)
                return Reply(_read_vectors(content, len(batch.texts)), Usage(usage.prompt_tokens, 0))

            def adapt(error: HTTPStatusError) -> bool:
                refuses_base64 = error.status in (400, 422, 501) and error.names("encoding_format")
                if not refuses_base64 or model in self._numbers_only:
                    return False
                self._numbers_only.add(model)
                return True

            reply, latency = await calls.send(request, read, adapt)
            self._estimates.observe(model, counted, reply.usage.prompt_tokens)
            shares = _shares(reply.usage.prompt_tokens, latency, batch.texts)
            vectors = {
                key: Vector(values, *share) for key, values, share in zip(batch.keys, reply.value, shares, strict=True)
            }
            vectors = self._cache.put_vectors(vectors, endpoint=self._endpoint, model=model)
            return vectors, reply.usage.prompt_tokens
        finally:
            for key in batch.keys:
                if self._batches.get(key) is batch:
                    del self._batches[key]


def _batches(texts: Mapping[bytes, str]) -> Iterator[_Batch]:
    batch: dict[bytes, str] = {}
    characters = 0
    for key, text in texts.items():
        if batch and (len(batch) == _BATCH_TEXTS or characters + len(text) > _BATCH_CHARACTERS):
            yield _Batch(tuple(batch), tuple(batch.values()))
            batch, characters = {}, 0
        batch[key] = text
        characters += len(text)
    if batch:
        yield _Batch(tuple(batch), tuple(batch.values()))


def _read_vectors(content: Mapping[str, Any], count: int) -> list[Vectors]:
    """In the order of the texts. Raises TransportError unless each text has one finite vector, all of the same length."""
    data = content.get("data")
    try:
        rows = sorted(data, key=lambda row: row["index"]) if isinstance(data, list) else []
        vectors = [_vector(row["embedding"]) for row in rows]
        complete = [row["index"] for row in rows] == list(range(count))
    except (KeyError, TypeError, ValueError, binascii.Error):
        complete, vectors = False, []
    if not complete or len({len(v) for v in vectors}) != 1 or not all(len(v) and np.isfinite(v).all() for v in vectors):
        raise TransportError("the server sent JSON without one embedding for each text")
    return vectors


def _vector(value: Any) -> Vectors:
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
    vector: Vectors = np.array(value, np.float32)
    if vector.ndim != 1:
        raise ValueError
    return vector


def _shares(tokens: int, latency_s: float, texts: Sequence[str]) -> list[tuple[int, float]]:
    """Divides the tokens and seconds of a request among its texts, by their lengths. The shares add up exactly."""
    ends = np.cumsum([len(text) for text in texts])
    bounds = np.round(ends * (tokens / ends[-1])).astype(int)
    token_shares = [int(share) for share in np.diff(bounds, prepend=0)]
    return [(share, latency_s * len(text) / int(ends[-1])) for share, text in zip(token_shares, texts, strict=True)]
