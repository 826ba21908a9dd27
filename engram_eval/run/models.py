"""The models behind reader, judge, router and embedder, each at its endpoint, under one budget."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engram_eval import registry
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.embedders.api import LLMEmbedder
from engram_eval.embedders.cached import CachedEmbedder
from engram_eval.embedders.embedder import Embedder
from engram_eval.errors import UserError
from engram_eval.language.prompt_file import PromptFile, read_prompt_file
from engram_eval.language.tokens import TokenCounter
from engram_eval.llm.cost.metering import Meter, MeteredLLM
from engram_eval.llm.model_names import shown_model
from engram_eval.run.settings import Settings
from engram_eval.services import RoleServices
from engram_eval.system.event_loop import run_to_end
from engram_eval.system.paths import cache_folder

if TYPE_CHECKING:
    from engram_eval.llm import LLM, BudgetTracker, Completion, LLMSettings
    from engram_eval.llm.cost.prices import Price

Role = Literal["reader", "judge", "router", "embedder"]
DEFAULT_MODEL = "gpt-4o-mini"
MAX_IN_FLIGHT = 16
WINDOW = 126_000
"""Context tokens that a reader takes, unless its server has less room: gpt-4o-mini's 128,000 without prompt and answer."""
CLIENT_OF: dict[str, Role] = {"extractor": "router"}
"""Roles of calls that are no roles of the settings, and whose model and endpoint they have."""
_API_EMBEDDER = "openai:"
_WIDTHS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}  # OpenAI's


def client_settings(settings: Settings, base_url: str | None, *, refresh_before: float = 0.0) -> LLMSettings:
    """Those of a client at one endpoint. `refresh_before`: see `ModelClients`."""
    from engram_eval.llm import LLMSettings

    extracting = [call for call, role in CLIENT_OF.items() if role in settings.refresh]
    return LLMSettings(
        base_url=base_url,
        max_in_flight=settings.max_in_flight,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        max_cost_usd=settings.max_cost,
        replay=settings.replay,
        timeout_s=settings.timeout,
        prices=Path(settings.prices) if settings.prices else None,
        refresh=dict.fromkeys([*settings.refresh, *extracting], refresh_before),
    )


def model_of(settings: Settings, role: Role) -> str:
    """The model that plays a role."""
    if role == "embedder":
        return settings.embedder.removeprefix(_API_EMBEDDER)
    own: str | None = getattr(settings, f"{role}_model")
    return own or settings.model or DEFAULT_MODEL


def endpoint_of(settings: Settings, role: Role | None) -> str:
    """The endpoint of a role, or that of all roles that have none of their own."""
    from engram_eval.llm.endpoint import endpoint_url

    own: str | None = getattr(settings, f"{role}_base_url") if role else None
    return endpoint_url(own or settings.base_url)


def key_of(settings: Settings, role: Role | None, url: str) -> str | None:
    """The key for an endpoint: the role's own, or OPENAI_API_KEY (None) for the endpoint that it belongs to, or none."""
    from engram_eval.llm.endpoint import OPENAI_URL, endpoint_url

    if role and (own := os.environ.get(f"{role.upper()}_API_KEY")):
        return own
    shared = url in (endpoint_url(settings.base_url), OPENAI_URL)
    return None if shared else ""


class _RoleLLM:
    """The model of one role, as readers and judges get it. `max_tokens`: the user's limit, in place of their own."""

    def __init__(self, llm: LLM, role: Role, model: str, max_tokens: int | None) -> None:
        self.model = model
        self._llm, self._role, self._max_tokens = llm, role, max_tokens

    async def chat(
        self,
        *,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 1024,
        repeat: int = 0,
        accepts: Callable[[str], bool] | None = None,
    ) -> Completion:
        return await self._llm.chat(
            role=self._role,
            model=self.model,
            messages=messages,
            schema=schema,
            max_tokens=self._max_tokens or max_tokens,
            repeat=repeat,
            accepts=accepts,
        )


class ModelClients:
    """One client per endpoint. `spent_usd`: what the run has cost before it was resumed.

    `started`: when the run began, in seconds since 1970; answers of the roles in --refresh that are older are asked for again.
    """

    def __init__(self, settings: Settings, *, spent_usd: float = 0.0, started: float | None = None) -> None:
        self._settings = settings
        self._started = time.time() if started is None else started
        self._spent_usd = spent_usd
        self._tracker: BudgetTracker | None = None
        self._clients: dict[tuple[str, str | None], LLM] = {}
        self._other_keys: set[bytes] = set()
        self._journal: Callable[[float], None] = lambda _usd: None
        self._report: Callable[[str, str], None] = lambda _event, _reason: None
        self._roles_in_use: set[Role] = set()

    def services(self, role: Literal["reader", "judge"], benchmark: Benchmark, tokens: TokenCounter) -> RoleServices:
        """What a reader or a judge is made with. Its model and embedder are opened when it first asks for them."""

        def open_llm() -> _RoleLLM:
            return _RoleLLM(self.llm(role), role, self.model(role), getattr(self._settings, f"{role}_max_tokens"))

        return RoleServices(
            benchmark,
            tokens,
            self._settings.window or WINDOW,
            self._settings.judge_votes,
            open_llm,
            self.embedder,
            self._own_prompt(role),
        )

    def _own_prompt(self, role: Literal["reader", "judge"]) -> PromptFile | None:
        """The prompt file that the settings name for the role. Raises UserError if it cannot be used."""
        path: str | None = getattr(self._settings, f"{role}_prompt")
        name: str = getattr(self._settings, role)
        if path is None:
            return None
        if name.partition(":")[0] != "llm":
            raise UserError(
                f"--{role}-prompt {path}: the {role} {name} takes no prompt; name --{role} llm, or leave it out"
            )
        return read_prompt_file(Path(path), role)

    def embedder(self, *, dry: bool = False) -> Embedder:
        """The run's embedder, with a meter that nothing reads. If `dry`, no endpoint is asked for its dimensions, which may
        then be 0."""
        name, meter = self._settings.embedder, Meter()
        if name.startswith(_API_EMBEDDER):
            model = name.removeprefix(_API_EMBEDDER)
            if not model:
                raise UserError(f"--embedder {name}: names no model; as in --embedder openai:text-embedding-3-small")
            width = _WIDTHS.get(model) or (0 if dry else self._width(model))
            return LLMEmbedder(self.llm("embedder"), model, meter, dimensions=width)
        return CachedEmbedder(registry.make("embedders", name), cache_folder(), meter)

    def memory_llm(self) -> MeteredLLM:
        """The model that memories call, as router and as extractor."""
        return MeteredLLM(
            self.llm("router"),
            self.model("router"),
            Meter(),
            at_once=asyncio.Semaphore(self._settings.max_in_flight or MAX_IN_FLIGHT),
            max_tokens=self._settings.router_max_tokens,
        )

    def model(self, role: Role) -> str:
        return model_of(self._settings, role)

    def llm(self, role: Role) -> LLM:
        """The client of the role's endpoint. Raises UserError if it needs a key and has none."""
        from engram_eval.llm import LLM  # the SDK takes a second to import

        url = self.endpoint(role)
        key = self._key(role, url)
        if (url, key) not in self._clients:
            self._clients[url, key] = LLM(
                client_settings(self._settings, url, refresh_before=self._started),
                cache_folder(),
                api_key=key,
                budget_tracker=self._budget(),
                report=lambda event, reason: self._report(event, reason),
            )
        self._roles_in_use.add(role)
        self._clients[url, key].require_prices([self.model(role)])
        return self._clients[url, key]

    def journal_to(self, journal: Callable[[float], None]) -> None:
        """Calls `journal` with what the run has cost after each change, so that a killed run leaves the amount on disk."""
        self._journal = journal
        if self._tracker:
            self._tracker.journal = journal

    def report_to(self, report: Callable[[str, str], None]) -> None:
        """Calls `report` with "time-out" or "retry", and the reason, before a request is sent again."""
        self._report = report

    def limit_cost(self, usd: float) -> None:
        """Lowers --max-cost, for one of several runs that share it."""
        self._budget().max_cost_usd = usd

    def _budget(self) -> BudgetTracker:
        from engram_eval.llm import BudgetTracker

        if self._tracker is None:
            self._tracker = BudgetTracker(self._settings.max_cost, spent_usd=self._spent_usd)
            self._tracker.journal = self._journal
        return self._tracker

    def price(self, role: Role) -> Price | None:
        """Dollars per token of the role's model; None if it has no price."""
        from engram_eval.llm.cost.prices import Prices

        return Prices(Path(self._settings.prices) if self._settings.prices else None).of(self.model(role))

    def name_of(self, role: Role) -> str:
        return f"{shown_model(self.model(role))} at {self.endpoint(role)}"

    def in_use(self) -> dict[Role, dict[str, str]]:
        """The model and endpoint of each role that a model plays."""
        return {
            role: {"model": shown_model(self.model(role)), "endpoint": self.endpoint(role)}
            for role in sorted(self._roles_in_use)
        }

    def served(self) -> dict[str, tuple[str, ...]]:
        """By role: the names of the models that answered in this process, as the servers tell them."""
        names: dict[str, set[str]] = {}
        for client in self._clients.values():
            for (role, _), served in client.served_models().items():
                names.setdefault(CLIENT_OF.get(role, role), set()).update(served)
        return {role: tuple(sorted(served)) for role, served in sorted(names.items())}

    def endpoint(self, role: Role) -> str:
        return endpoint_of(self._settings, role)

    def _key(self, role: Role, url: str) -> str | None:
        return key_of(self._settings, role, url)

    def _width(self, model: str) -> int:
        """The dimensions of a model's embeddings, from the cache or one call."""
        from engram_eval.llm import LLM, LLMError

        url = self.endpoint("embedder")
        key, tracker = self._key("embedder", url), self._budget()

        async def width() -> int:  # with its own client, since a client belongs to one event loop
            llm = LLM(client_settings(self._settings, url), cache_folder(), api_key=key, budget_tracker=tracker)
            try:
                return int((await llm.embed(role="embedder", model=model, texts=[" "])).vectors.shape[1])
            except LLMError as error:
                raise UserError(
                    f"{url} gave no embedding by {model} ({error}); name another --embedder, or the endpoint that has this "
                    "model with --embedder-base-url"
                ) from None
            finally:
                self._other_keys |= llm.take_used_keys()
                await llm.close()

        return run_to_end(width())

    def usage(self) -> dict[str, dict[str, float]]:
        """Calls, tokens and dollars by role."""
        return self._tracker.usage() if self._tracker else {}

    def take_used_keys(self) -> frozenset[bytes]:
        """The keys of cached responses that were used since the last call of this method."""
        others, self._other_keys = self._other_keys, set()
        return frozenset(others).union(*(client.take_used_keys() for client in self._clients.values()))

    def spent_usd(self) -> float:
        return self._tracker.spent_usd if self._tracker else self._spent_usd

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
