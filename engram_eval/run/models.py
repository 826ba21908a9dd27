"""Who does what in a run: the models behind reader, judge, router and embedder, each at its endpoint, under one budget."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engram_eval import registry
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.embedders.api import LLMEmbedder
from engram_eval.embedders.cached import CachedEmbedder
from engram_eval.embedders.embedder import Embedder
from engram_eval.errors import UserError
from engram_eval.judges.judge import Judge
from engram_eval.llm.cost.metering import Meter, MeteredLLM
from engram_eval.readers.reader import Reader
from engram_eval.run.settings import Settings
from engram_eval.system.paths import cache_folder

if TYPE_CHECKING:
    from engram_eval.llm import LLM, BudgetTracker, LLMSettings
    from engram_eval.llm.cost.prices import Price

Role = Literal["reader", "judge", "router", "embedder"]
_DEFAULT_MODEL = "gpt-4o-mini"
_API_EMBEDDER = "openai:"
_WIDTHS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}  # OpenAI's


def resolve_defaults(settings: Settings, *, memories_ask: bool = False) -> Settings:
    """The settings with nothing left open: `auto` is a model where the environment names a key or an endpoint.

    A server of one's own that serves a single model is asked which; UserError where it must be named. `memories_ask`:
    a memory needs the model, even if reader and judge do not.
    """
    from engram_eval.llm.endpoint import endpoint_url

    auto = "llm" if why_models() or settings.base_url else "offline"
    settings = replace(
        settings,
        reader=auto if settings.reader == "auto" else settings.reader,
        judge=auto if settings.judge == "auto" else settings.judge,
    )
    if settings.base_url is None and (named := os.environ.get("OPENAI_BASE_URL")):
        settings = replace(settings, base_url=named)  # a resumed run goes on where it began
    names = ("base_url", "reader_base_url", "judge_base_url", "router_base_url", "embedder_base_url")
    named_urls: dict[str, Any] = {name: endpoint_url(url) for name in names if (url := getattr(settings, name))}
    settings = replace(settings, **named_urls)  # none with a password in it
    if settings.model is None and (settings.asks_models() or (memories_ask and not settings.router_model)):
        settings = replace(settings, model=_served(settings))
    return settings


def why_models() -> str:
    """What in the environment asks for models, in words; empty if nothing does."""
    names = [name for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL") if os.environ.get(name)]
    return f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} set" if names else ""


def _served(settings: Settings) -> str:
    """The model of the endpoint, where only one can be meant."""
    from engram_eval.llm.endpoint import OPENAI_URL, endpoint_url

    url = endpoint_url(settings.base_url)
    if url == OPENAI_URL or (settings.reader_model and settings.judge_model):
        return _DEFAULT_MODEL
    if settings.replay:
        raise UserError(f"a replay of {url} has to be told the model; name it with --model")

    found = served_models(settings)
    if len(found) == 1:
        return found[0]
    listed = f"it serves {', '.join(found[:12])}" if found else "it does not say what it serves"
    raise UserError(f"{url}: which model? {listed}; name one with --model")


def served_models(settings: Settings) -> list[str]:
    """What the endpoint says that it serves. Raises UserError where nothing is there, or a key is wanted."""
    from engram_eval.llm import LLM

    async def models() -> list[str]:
        llm = LLM(_limits(settings, settings.base_url), cache_folder())
        try:
            return await llm.models()
        finally:
            await llm.close()

    return asyncio.run(models())


def _limits(settings: Settings, base_url: str | None) -> LLMSettings:
    from engram_eval.llm import LLMSettings

    return LLMSettings(
        base_url=base_url,
        max_in_flight=settings.max_in_flight,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        max_cost_usd=settings.max_cost,
        replay=settings.replay,
        timeout_s=settings.timeout,
        prices=Path(settings.prices) if settings.prices else None,
    )


class ModelClients:
    """Opens readers, judges and embedders. One client an endpoint; `spent_usd` is what the run has cost before."""

    def __init__(self, settings: Settings, *, spent_usd: float = 0.0) -> None:
        self._settings = settings
        self._spent_usd = spent_usd
        self._ledger: BudgetTracker | None = None
        self._clients: dict[tuple[str, str | None], LLM] = {}
        self._other_keys: set[bytes] = set()
        self._journal: Callable[[float], None] = lambda _usd: None
        self.meter = Meter()
        """Of what memories are given: embedder and model."""
        self._played: set[Role] = set()

    def reader(self, benchmark: Benchmark, count_tokens: Callable[[str], int]) -> Reader:
        if self._settings.reader == "llm":
            from engram_eval.readers.llm import LLMReader

            llm, model = self.llm("reader"), self.model("reader")
            return LLMReader(llm, model, prompt=benchmark.reader_prompt, window=self._settings.window)
        reader: Reader = registry.make("readers", self._settings.reader, count_tokens)
        return reader

    def judge(self, benchmark: Benchmark) -> Judge:
        named = self._settings.judge
        name, _, variant = named.partition(":")
        if name == "llm":
            from engram_eval.judges.llm import LLMJudge

            rules = benchmark.judge_rules
            if variant == "standard":  # the default rule's own name
                variant = ""
            if variant and variant not in rules.variants:
                known = " or ".join(["llm", *(f"llm:{known}" for known in rules.variants)])
                raise UserError(f"--judge {named}: {benchmark.name} has no judge {variant!r}; name {known}")
            votes = self._settings.judge_votes
            llm, model = self.llm("judge"), self.model("judge")
            return LLMJudge(llm, model, rules=rules, variant=variant or None, votes=votes)
        judge: Judge = registry.make("judges", named)
        return judge

    def embedder(self, *, ask: bool = True) -> Embedder:
        """Not to `ask`: an endpoint's embedder may have 0 dimensions, and is there to be looked at."""
        named = self._settings.embedder
        if named.startswith(_API_EMBEDDER):
            model = named.removeprefix(_API_EMBEDDER)
            if not model:
                raise UserError(f"--embedder {named}: names no model; as in --embedder openai:text-embedding-3-small")
            width = _WIDTHS.get(model) or (self._width(model) if ask else 0)
            return LLMEmbedder(self.llm("embedder"), model, self.meter, dimensions=width)
        return CachedEmbedder(registry.make("embedders", named), cache_folder(), self.meter)

    def memory_llm(self) -> MeteredLLM:
        """What memories ask, as router and as extractor."""
        return MeteredLLM(self.llm("router"), self.model("router"), self.meter)

    def model(self, role: Role) -> str:
        if role == "embedder":
            return self._settings.embedder.removeprefix(_API_EMBEDDER)
        own: str | None = getattr(self._settings, f"{role}_model")
        return own or self._settings.model or _DEFAULT_MODEL

    def llm(self, role: Role) -> LLM:
        """The client of the role's endpoint. Raises UserError where it needs a key and has none."""
        from engram_eval.llm import LLM  # the SDK behind it takes a second to import: only where it is used

        url = self.endpoint(role)
        key = self._key(role, url)
        if (url, key) not in self._clients:
            self._clients[url, key] = LLM(
                _limits(self._settings, url), cache_folder(), api_key=key, budget_tracker=self._the_ledger()
            )
        self._played.add(role)
        self._clients[url, key].require_prices([self.model(role)])
        return self._clients[url, key]

    def journal_to(self, journal: Callable[[float], None]) -> None:
        """Tells what the run has cost after each change, so that a killed run still knows."""
        self._journal = journal
        if self._ledger:
            self._ledger.journal = journal

    def _the_ledger(self) -> BudgetTracker:
        from engram_eval.llm import BudgetTracker

        if self._ledger is None:
            self._ledger = BudgetTracker(self._settings.max_cost, spent_usd=self._spent_usd)
            self._ledger.journal = self._journal
        return self._ledger

    def price(self, role: Role) -> Price | None:
        """Dollars per token of the role's model, if the table has it."""
        from engram_eval.llm.cost.prices import Prices

        return Prices(Path(self._settings.prices) if self._settings.prices else None).of(self.model(role))

    def who(self, role: Role) -> str:
        return f"{self.model(role)} at {self.endpoint(role)}"

    def described(self) -> dict[str, dict[str, str]]:
        """Of each role that a model plays, its model and endpoint."""
        return {role: {"model": self.model(role), "endpoint": self.endpoint(role)} for role in sorted(self._played)}

    def endpoint(self, role: Role) -> str:
        from engram_eval.llm.endpoint import endpoint_url

        return endpoint_url(self._base_url(role))

    def _base_url(self, role: Role) -> str | None:
        own: str | None = getattr(self._settings, f"{role}_base_url")
        return own or self._settings.base_url

    def _key(self, role: Role, url: str) -> str | None:
        """A key goes to the endpoint that it belongs to: another one gets its own or none."""
        from engram_eval.llm.endpoint import OPENAI_URL, endpoint_url

        if own := os.environ.get(f"{role.upper()}_API_KEY"):
            return own
        shared = url in (endpoint_url(self._settings.base_url), OPENAI_URL)
        return None if shared else ""

    def _width(self, model: str) -> int:
        """The dimensions of a model's embeddings, from the cache or by asking once."""
        from engram_eval.llm import LLM

        url = self.endpoint("embedder")
        key, ledger = self._key("embedder", url), self._the_ledger()

        async def width() -> int:  # a client of its own: one belongs to one event loop
            llm = LLM(_limits(self._settings, url), cache_folder(), api_key=key, budget_tracker=ledger)
            try:
                return int((await llm.embed(role="embedder", model=model, texts=[" "])).vectors.shape[1])
            finally:
                self._other_keys |= llm.take_used_keys()
                await llm.close()

        return asyncio.run(width())

    def usage(self) -> dict[str, dict[str, float]]:
        """By role, as `LLM.usage`."""
        return self._ledger.usage() if self._ledger else {}

    def take_used_keys(self) -> frozenset[bytes]:
        """What of the response cache the run went by since this was last asked."""
        others, self._other_keys = self._other_keys, set()
        return frozenset(others).union(*(client.take_used_keys() for client in self._clients.values()))

    def spent_usd(self) -> float:
        return self._ledger.spent_usd if self._ledger else self._spent_usd

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
