"""Chat and embeddings at one endpoint, each answer kept before it is handed over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError
from engram_eval.llm.cache.keys import chat_key, encodable
from engram_eval.llm.cache.response_cache import Response, ResponseCache, cache_file
from engram_eval.llm.cache.single_flight import SingleFlight
from engram_eval.llm.calls import Calls, Reply, Request
from engram_eval.llm.chat_reply import answer_text, is_blank, read_chat
from engram_eval.llm.clock import Clock
from engram_eval.llm.completion import Completion
from engram_eval.llm.cost.budget import BudgetTracker
from engram_eval.llm.cost.prices import Prices
from engram_eval.llm.cost.token_estimates import Estimates
from engram_eval.llm.embeddings import Embedded, Embeddings
from engram_eval.llm.endpoint import endpoint_url
from engram_eval.llm.errors import CacheMiss, LLMError
from engram_eval.llm.parsing import NotParsed, parse_json
from engram_eval.llm.provider_capabilities import ProviderCapabilities, adapted, first_capabilities, names_its_objection
from engram_eval.llm.settings import LLMSettings
from engram_eval.llm.transport import Endpoint, HTTPStatusError


class LLM:
    """One endpoint, any number of models.

    `api_key`: None for $OPENAI_API_KEY; a server that is not OpenAI's may do without. `ledger`: one for several clients
    makes them share one budget (its `max_cost_usd` then counts, not the settings'). Raises UserError for settings that
    cannot work. To be used in one event loop and closed at the end.
    """

    def __init__(
        self,
        settings: LLMSettings,
        cache_folder: Path,
        *,
        api_key: str | None = None,
        ledger: BudgetTracker | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        self.settings = settings
        self.endpoint = endpoint_url(settings.base_url)
        self._prices = Prices(settings.prices)
        self._ledger = ledger or BudgetTracker(settings.max_cost_usd)
        self._estimates = Estimates()
        self._dialects: dict[str, ProviderCapabilities] = {}
        self._flights: SingleFlight[bytes, Response] = SingleFlight()
        self._used: set[bytes] = set()
        self._server: Endpoint | None = None
        self._calls: Calls | None = None
        if not settings.replay:
            self._server = Endpoint(settings.base_url, api_key, settings.timeout_s, clock)
            self._calls = Calls(settings, self._server, self._ledger, clock)
        self._cache = ResponseCache(cache_file(cache_folder), read_only=settings.replay)
        self._embeddings = Embeddings(self.endpoint, self._calls, self._cache, self._prices, self._estimates)

    async def chat(
        self,
        *,
        role: str,
        model: str,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 1024,
        repeat: int = 0,
    ) -> Completion:
        """One answer at temperature 0. `repeat` numbers answers to the same request that are to be independent.

        Raises LLMError for an answer that is empty, cut off, refused or not what `schema` asks for, with the text kept
        in `raw`, and for a call that failed for good; UserError where no further call can succeed.
        """
        self.require_prices([model])
        plain = [{name: encodable(value) for name, value in message.items()} for message in messages]
        key = chat_key(self.endpoint, model, plain, schema, max_tokens, repeat)
        response = self._cache.get(key)
        cached = response is not None
        if response is None:
            if (calls := self._calls) is None:
                raise CacheMiss(
                    f"{self._cache.path}: holds no answer of {model} at {self.endpoint} for this {role} call"
                )
            response, cached = await self._flights.join(
                key, lambda: self._ask(calls, key, model, plain, schema, max_tokens)
            )
        if not is_blank(response):  # which is not kept
            self._used.add(key)
        price = self._prices.of(model)
        prompt, completion = response.prompt_tokens, response.completion_tokens
        cost = price.cost(prompt, completion, response.cached_prompt_tokens) if price else None
        self._ledger.record(role, prompt_tokens=prompt, completion_tokens=completion, cost_usd=cost, cached=cached)
        text = answer_text(response, max_tokens)
        data = _parsed(text, schema, response)
        return Completion(text, data, prompt, completion, cost, response.latency_s, cached)

    async def embed(self, *, role: str, model: str, texts: Sequence[str]) -> Embedded:
        """One row a text. Raises LLMError for a call that failed for good; UserError where none can succeed."""
        self.require_prices([model])
        embedded, used = await self._embeddings.embed(model, [encodable(text) for text in texts])
        price = self._prices.of(model)
        for tokens, cached in used:
            cost = price.cost(tokens, 0) if price else None
            self._ledger.record(role, prompt_tokens=tokens, completion_tokens=0, cost_usd=cost, cached=cached)
        return embedded

    async def models(self) -> list[str]:
        """The ids of the models that the server lists, within 5 s; none where it has no list, and in a replay.

        Raises UserError where nothing is there at all.
        """
        listed = await self._server.get("/models") if self._server else None
        entries = listed.get("data") if isinstance(listed, dict) else listed  # some servers send the bare list
        entries = entries if isinstance(entries, list) else []
        ids = [entry.get("id") for entry in entries if isinstance(entry, dict)]
        return [encodable(name) for name in ids if isinstance(name, str) and name]

    def require_prices(self, models: Sequence[str]) -> None:
        """Raises UserError if there is a budget and one of these models has no price: it could not be held."""
        if self._ledger.max_cost_usd is None or self._calls is None:
            return
        for model in models:
            if self._prices.of(model) is None:
                raise UserError(f"--max-cost needs a price for {model}; name a price file that has it with --prices")

    def usage(self) -> dict[str, dict[str, float]]:
        """By role: calls, cached, prompt_tokens, completion_tokens, cost_usd, spent_usd, unpriced.

        Tokens and `cost_usd` are of all answered calls, cached ones included; `spent_usd` is what this process paid for.
        """
        return self._ledger.usage()

    def take_used_keys(self) -> frozenset[bytes]:
        """The response cache's keys of what was handed out since this was last asked."""
        used = frozenset(self._used | self._embeddings.used)
        self._used.clear()
        self._embeddings.used.clear()
        return used

    async def close(self) -> None:
        """Calls still in flight are given up."""
        await self._flights.cancel()
        await self._embeddings.close()
        if self._server is not None:
            await self._server.close()
        self._cache.close()

    async def _ask(
        self,
        calls: Calls,
        key: bytes,
        model: str,
        messages: list[dict[str, str]],
        schema: Mapping[str, Any] | None,
        max_tokens: int,
    ) -> Response:
        dialect = self._dialects.get(model) or first_capabilities(model)
        certain = True
        tried = {dialect}
        texts = [message.get("content", "") for message in messages]
        counted = self._estimates.count(model, texts, schema) if calls.counts_tokens else 0
        price = self._prices.of(model)

        def request() -> Request:
            body = dialect.body(model, messages, schema, max_tokens)
            prompt = self._estimates.bound(model, counted)
            return Request("/chat/completions", body, price, prompt, max_tokens + dialect.room)

        def read(content: dict[str, Any]) -> Reply[Response]:
            return read_chat(content, model, texts)

        def adapt(rejected: HTTPStatusError) -> bool:
            nonlocal dialect, certain
            if rejected.is_about_context() or rejected.is_about_content():
                return False
            learnt = self._dialects.get(model)
            if learnt is None or learnt in tried:  # else another call has found out meanwhile
                learnt = adapted(dialect, rejected, asks_for_json=schema is not None)
            if learnt is None or learnt in tried:
                return False
            certain = certain and names_its_objection(rejected)
            dialect = learnt
            tried.add(learnt)
            return True

        reply, latency = await calls.send(request, read, adapt)
        if certain:  # a bad day of the server's must not change how all later calls are made
            self._remember(model, dialect, asked_for_json=schema is not None)
        self._estimates.observe(model, counted, reply.usage.prompt_tokens)
        response = replace(reply.value, latency_s=latency)
        if is_blank(response):  # a whim of the server, more often than the model's answer: ask again when resumed
            return response
        return self._cache.put(key, response, endpoint=self.endpoint, model=model)

    def _remember(self, model: str, dialect: ProviderCapabilities, *, asked_for_json: bool) -> None:
        """What worked. Without a schema nothing was learnt about output, which stays as it was known."""
        known = self._dialects.get(model, dialect)
        self._dialects[model] = dialect if asked_for_json else replace(dialect, output=known.output)


def _parsed(text: str, schema: Mapping[str, Any] | None, response: Response) -> Any:
    if schema is None:
        return None
    try:
        return parse_json(text, json.dumps(schema))
    except NotParsed as error:
        raise LLMError(f"the answer is not what was asked for: {error}", response.text) from None
