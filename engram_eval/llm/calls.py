"""A request from its first attempt to its last: limits, budget, retries, and when to give the run up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from engram_eval.errors import UserError
from engram_eval.llm.clock import Clock
from engram_eval.llm.cost.budget import BudgetTracker, Reservation
from engram_eval.llm.cost.prices import Price
from engram_eval.llm.errors import LLMError, Refused
from engram_eval.llm.limits import Limits, Permit
from engram_eval.llm.retries import backoff, is_passing
from engram_eval.llm.settings import LLMSettings
from engram_eval.llm.transport import CONNECT_S, Endpoint, HTTPStatusError, TransportError

_STREAK = 10  # calls in a row that failed after their retries: the server is gone, not busy

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt: what is sent, and the most that it can use. Made anew for each, as what was learnt may change it."""

    path: str
    body: dict[str, Any]
    price: Price | None
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server says it used."""

    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    value: T
    usage: Usage


class Calls:
    """Sends requests to one endpoint. `stopped`: the sentence after which nothing more is sent, empty while all is well."""

    def __init__(self, settings: LLMSettings, endpoint: Endpoint, ledger: BudgetTracker, clock: Clock) -> None:
        self._retries = settings.retries
        self._endpoint, self._ledger, self._clock = endpoint, ledger, clock
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._limits = Limits(settings.requests_per_minute, settings.tokens_per_minute, clock, CONNECT_S)
        self._stopped = ""
        self._failed_in_a_row = 0
        self.counts_tokens = self._limits.counts_tokens or ledger.max_cost_usd is not None

    async def send(
        self,
        request: Callable[[], Request],
        read: Callable[[dict[str, Any]], Reply[T]],
        adapt: Callable[[HTTPStatusError], bool],
    ) -> tuple[Reply[T], float]:
        """The reply, and the seconds that the attempt which brought it took.

        `read` raises TransportError for JSON that is no reply. `adapt` is asked after a refusal whether `request` has learnt
        from it: then it is sent again at once. A slot is held throughout, so that a server in trouble gets fewer calls.
        """
        failures = 0
        async with self._slots:
            while True:
                if self._stopped:
                    raise UserError(self._stopped)
                try:
                    reply, latency = await self._attempt(request(), read)
                except HTTPStatusError as rejected:
                    self._raise_if_fatal(rejected)
                    if adapt(rejected):
                        continue
                    fault: HTTPStatusError | TransportError = rejected
                except TransportError as no_reply:
                    fault = no_reply
                else:
                    self._failed_in_a_row = 0
                    return reply, latency
                failures += 1
                await self._wait(fault, failures)

    async def _attempt(self, request: Request, read: Callable[[dict[str, Any]], Reply[T]]) -> tuple[Reply[T], float]:
        price = request.price
        worst = price.cost(request.prompt_tokens, request.completion_tokens) if price else 0.0
        charge = await self._ledger.reserve(worst)
        with self._ledger.holding(charge):
            try:
                admission = await self._limits.admit(request.prompt_tokens + request.completion_tokens)
            except BaseException:
                charge.settle(0.0)
                raise
            try:
                content, latency = await self._endpoint.post(request.path, request.body)
                reply = read(content)
            except (HTTPStatusError, UserError):
                self._settle(admission, charge, 0, 0.0)
                raise
            except TransportError as fault:  # sent and not answered: it may be charged for
                if not fault.sent:
                    self._settle(admission, charge, 0, 0.0)
                raise
            used = reply.usage
            cost = price.cost(used.prompt_tokens, used.completion_tokens, used.cached_prompt_tokens) if price else 0.0
            self._settle(admission, charge, used.prompt_tokens + used.completion_tokens, cost)
            return reply, latency

    def _settle(self, admission: Permit, charge: Reservation, tokens: int, cost: float) -> None:
        self._limits.finish(admission, tokens)
        charge.settle(cost)

    def _raise_if_fatal(self, rejected: HTTPStatusError) -> None:
        url = self._endpoint.url
        if rejected.status in (401, 403) and not rejected.is_about_content():
            # Not the server's own words: they may quote the key.
            self._stopped = (
                f"{url} refused the key ({rejected.status}); check OPENAI_API_KEY (or ROLE_API_KEY, of an endpoint of a "
                "role's own) and what it may be used for"
            )
        elif rejected.is_about_quota():
            self._stopped = f"the quota at {url} is used up ({rejected}); resume the run when there is more"
        if self._stopped:
            raise UserError(self._stopped)

    async def _wait(self, fault: HTTPStatusError | TransportError, failures: int) -> None:
        """Sleeps before the next attempt, or raises what the call ends in."""
        url = self._endpoint.url
        if isinstance(fault, HTTPStatusError):
            if fault.is_about_context():
                raise Refused(f"the request is longer than the model's context ({fault})")
            if fault.is_about_content():
                raise Refused(f"{url} refused the request for its content ({fault})")
            if fault.status == 404 or fault.is_about_model():
                raise UserError(
                    f"{url} does not have what was asked for ({fault}); check the model's name and --base-url"
                )
        passing = isinstance(fault, TransportError) or is_passing(fault.status)
        pause = backoff(failures, fault.headers if isinstance(fault, HTTPStatusError) else {}, self._clock)
        if passing and failures <= self._retries and pause is not None:
            await self._clock.sleep(pause)
            return
        self._failed_in_a_row += 1
        what = f"{url} answered {fault}" if isinstance(fault, HTTPStatusError) else str(fault)
        if self._failed_in_a_row >= _STREAK:
            self._stopped = (
                f"{_STREAK} calls in a row failed, the last because {what}; resume the run when the server is well"
            )
            raise UserError(self._stopped)
        raise LLMError(f"{what} ({failures} attempt{'s' if failures > 1 else ''})")
