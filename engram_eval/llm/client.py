"""Chat and embeddings at one endpoint. Each answer is cached before the caller gets it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError
from engram_eval.llm.cache.keys import chat_key, encodable
from engram_eval.llm.cache.response_cache import Response, ResponseCache, cache_file
from engram_eval.llm.cache.single_flight import SingleFlight
from engram_eval.llm.calls import Calls, Reply, Report, Request
from engram_eval.llm.chat_reply import ChatReply, answer_text, is_blank, is_cut_off, read_chat
from engram_eval.llm.clock import Clock
from engram_eval.llm.completion import Completion
from engram_eval.llm.cost.budget import BudgetTracker
from engram_eval.llm.cost.prices import Prices
from engram_eval.llm.cost.token_estimates import Estimates
from engram_eval.llm.embeddings import Embedded, Embeddings
from engram_eval.llm.endpoint import endpoint_url
from engram_eval.llm.errors import CacheMiss, LLMError
from engram_eval.llm.model_names import shown_model
from engram_eval.llm.negotiation import Negotiation
from engram_eval.llm.parsing import NotParsed, parse_json
from engram_eval.llm.provider_capabilities import ProviderCapabilities, unbounded
from engram_eval.llm.server_info import ServerInfo
from engram_eval.llm.settings import LLMSettings
from engram_eval.llm.transport import Endpoint


class LLM:
    """A client of one endpoint, for any number of models.

    `api_key`: None means $OPENAI_API_KEY; servers other than OpenAI's may need no key. `budget_tracker`: several clients
    that share one have one budget together (its `max_cost_usd` then counts, not the one in the settings). `report` is called
    before a request is sent again. Raises UserError for settings that cannot work. Use a client
    in one event loop, and close it at the end.
    """

    def __init__(
        self,
        settings: LLMSettings,
        cache_folder: Path,
        *,
        api_key: str | None = None,
        budget_tracker: BudgetTracker | None = None,
        clock: Clock | None = None,
        report: Report = lambda _event, _reason: None,
    ) -> None:
        clock = clock or Clock()
        self.settings = settings
        self.endpoint = endpoint_url(settings.base_url)
        self._prices = Prices(settings.prices)
        self._budget = budget_tracker or BudgetTracker(settings.max_cost_usd)
        self._estimates = Estimates()
        self._capabilities: dict[str, ProviderCapabilities] = {}
        self._single_flight: SingleFlight[bytes, Response] = SingleFlight()
        self._used_keys: set[bytes] = set()
        self._served: dict[tuple[str, str], set[str]] = {}
        self._server: Endpoint | None = None
        self._calls: Calls | None = None
        if not settings.replay:
            self._server = Endpoint(settings.base_url, api_key, settings.timeout_s, clock)
            self._calls = Calls(settings, self._server, self._budget, clock, report)
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
        accepts: Callable[[str], bool] | None = None,
    ) -> Completion:
        """One answer at temperature 0. Different numbers `repeat` give independent answers to the same request.

        `accepts`: whether the caller can use an answer with this text; a kept one that it cannot use is asked for again.

        Raises LLMError for an answer that is empty, cut off, refused or does not satisfy `schema` (its text is in `raw`),
        and for a call that failed after its retries; UserError if no further call can succeed.
        """
        self.require_prices([model])
        plain = [{name: encodable(value) for name, value in message.items()} for message in messages]
        key = chat_key(self.endpoint, shown_model(model), plain, schema, max_tokens, repeat)
        kept = self._cache.get(key)
        if kept is not None and self._is_usable(kept, role, schema, max_tokens, accepts):
            response, cached = kept, True
        else:
            if (calls := self._calls) is None:
                raise CacheMiss(
                    f"{self._cache.path}: holds no answer of {shown_model(model)} at {self.endpoint} for this {role} call"
                )
            response, cached = await self._single_flight.join(
                key, lambda: self._ask(calls, key, model, plain, schema, max_tokens, kept)
            )
        if not is_blank(response):  # a blank one is not cached
            self._used_keys.add(key)
        price = self._prices.of(model)
        prompt, completion = response.prompt_tokens, response.completion_tokens
        cost = price.cost(prompt, completion, response.cached_prompt_tokens) if price else None
        self._budget.record(role, prompt_tokens=prompt, completion_tokens=completion, cost_usd=cost, cached=cached)
        if response.served_model:
            self._served.setdefault((role, model), set()).add(shown_model(response.served_model))
        text, data = _answer(response, role, schema, max_tokens)
        return Completion(
            text,
            data,
            prompt,
            completion,
            cost,
            response.latency_s,
            cached,
            reasoning_removed=schema is None and text != response.text,
            first_token_s=response.first_token_s,
            server_cached_tokens=response.cached_prompt_tokens,
        )

    def _is_usable(
        self,
        kept: Response,
        role: str,
        schema: Mapping[str, Any] | None,
        max_tokens: int,
        accepts: Callable[[str], bool] | None,
    ) -> bool:
        """Whether a kept answer is used. One that ended in an error is asked for again, but in a replay it is the answer."""
        if self.settings.replay:
            return True
        if kept.created < self.settings.refresh.get(role, 0.0):
            return False
        try:
            text, _ = _answer(kept, role, schema, max_tokens)
        except LLMError:
            return False
        return accepts is None or accepts(text)

    async def embed(self, *, role: str, model: str, texts: Sequence[str]) -> Embedded:
        """One row for each text. Raises LLMError for a call that failed after its retries; UserError if none can succeed."""
        self.require_prices([model])
        embedded, requests = await self._embeddings.embed(model, [encodable(text) for text in texts])
        price = self._prices.of(model)
        for tokens, cached in requests:
            cost = price.cost(tokens, 0) if price else None
            self._budget.record(role, prompt_tokens=tokens, completion_tokens=0, cost_usd=cost, cached=cached)
        return embedded

    async def server_info(self) -> ServerInfo:
        """What the server says about itself; in a replay, what it last said. Raises UserError if there is no server at all."""
        if self._calls is None:
            said = self._cache.get_server(self.endpoint)
            return ServerInfo.from_json(said) if said else ServerInfo()
        info = await self._calls.server_info()
        self._cache.put_server(self.endpoint, info.to_json())
        return info

    def served_models(self) -> dict[tuple[str, str], set[str]]:
        """By role and model asked for: the names of the models that answered."""
        return self._served

    def require_prices(self, models: Sequence[str]) -> None:
        """Raises UserError if there is a budget and one of these models has no price: the budget could not be kept."""
        if self._budget.max_cost_usd is None or self._calls is None:
            return
        for model in models:
            if self._prices.of(model) is None:
                raise UserError(f"--max-cost needs a price for {model}; name a price file that has it with --prices")

    def usage(self) -> dict[str, dict[str, float]]:
        """By role: calls, cached, prompt_tokens, completion_tokens, cost_usd, spent_usd, unpriced.

        Tokens and `cost_usd` include cached calls; `spent_usd` is what this process paid for.
        """
        return self._budget.usage()

    def take_used_keys(self) -> frozenset[bytes]:
        """The cache keys of all answers and embeddings returned since the last call of this method."""
        keys = frozenset(self._used_keys | self._embeddings.used_keys)
        self._used_keys.clear()
        self._embeddings.used_keys.clear()
        return keys

    async def close(self) -> None:
        """Cancels the calls that are still in flight."""
        await self._single_flight.cancel()
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
        kept: Response | None,
    ) -> Response:
        """Sends the call and caches its answer, in place of a kept one."""
        negotiation = Negotiation(self._capabilities, model, asks_for_json=schema is not None)
        texts = [message.get("content", "") for message in messages]
        counted = self._estimates.count(model, texts, schema) if calls.counts_tokens else 0
        price = self._prices.of(model)

        def request() -> Request:
            capabilities = negotiation.capabilities
            body = capabilities.body(model, messages, schema, max_tokens)
            prompt = self._estimates.bound(model, counted)
            return Request("/chat/completions", body, price, prompt, max_tokens + capabilities.room)

        def read(content: dict[str, Any]) -> Reply[ChatReply]:
            return read_chat(content, model, texts)

        while True:
            reply, latency = await calls.send(request, read, negotiation.adapt)
            negotiation.remember()
            self._estimates.observe(model, counted, reply.usage.prompt_tokens)
            out_of_room = reply.value.reasoned and is_cut_off(reply.value.response)
            if not (out_of_room and negotiation.make_room()):
                break
        response = replace(reply.value.response, latency_s=latency)
        if is_blank(response):  # more often a fault of the server than the model's answer: a resumed run asks again
            return response
        return self._cache.put(key, response, endpoint=self.endpoint, model=shown_model(model), instead_of=kept)


def _answer(response: Response, role: str, schema: Mapping[str, Any] | None, max_tokens: int) -> tuple[str, Any]:
    """The text, and the JSON if some was requested. Raises LLMError for a reply that is no answer."""
    text = answer_text(response, max_tokens, role=role, is_json=schema is not None)
    if schema is None:
        return text, None
    try:
        # Limits of length are there to stop a model that runs on, and a longer text is no fault.
        return text, parse_json(text, json.dumps(unbounded(schema)))
    except NotParsed as error:
        raise LLMError(f"the answer is not the JSON that was requested: {error}", response.text) from None
