"""Sends a request until it is answered: limits, budget, retries, and when to give up the run."""

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
from engram_eval.llm.retries import backoff, is_temporary
from engram_eval.llm.server_info import ServerInfo, look_up
from engram_eval.llm.settings import LLMSettings
from engram_eval.llm.slots import Slots
from engram_eval.llm.transport import CONNECT_S, Endpoint, HTTPStatusError, TransportError

MAX_IN_FLIGHT = 16
"""Requests in flight at a time, where neither the user nor the server says how many."""
_QUEUED_S = 1.0  # more than a network takes: a longer wait for a server that says how long it worked was in its queue
_STREAK = 10  # after so many failed calls in a row, each with its retries, the server is no longer busy but unavailable

T = TypeVar("T")
Report = Callable[[str, str], None]
"""Called with "time-out" or "retry", and with the reason in words, before a request is sent again."""


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt: its body, and the most tokens that it can use. Made again for each attempt, which may have learnt."""

    path: str
    body: dict[str, Any]
    price: Price | None
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that the server reports."""

    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """`work_s`: the seconds that the server worked on the request, if it tells."""

    value: T
    usage: Usage
    work_s: float | None = None


class Calls:
    """Sends requests to one endpoint. After a fatal error nothing more is sent: each further call raises that error."""

    def __init__(
        self,
        settings: LLMSettings,
        endpoint: Endpoint,
        budget: BudgetTracker,
        clock: Clock,
        report: Report,
    ) -> None:
        self._retries = settings.retries
        self._endpoint, self._budget, self._clock = endpoint, budget, clock
        self._max_in_flight = settings.max_in_flight
        self._slots = Slots(settings.max_in_flight or MAX_IN_FLIGHT)
        self._looking_up = asyncio.Lock()
        self._info: ServerInfo | None = None
        self._report = report
        self._limits = Limits(settings.requests_per_minute, settings.tokens_per_minute, clock, CONNECT_S)
        self._fatal_error = ""
        self._failed_in_a_row = 0
        self.counts_tokens = self._limits.counts_tokens or budget.max_cost_usd is not None

    async def server_info(self) -> ServerInfo:
        """What the server says about itself, asked once; nothing at OpenAI's own, which has room for everybody.

        It also decides how many requests are in flight, unless the user does.
        """
        async with self._looking_up:
            if self._info is None:
                self._info = ServerInfo() if self._endpoint.is_openai else await look_up(self._endpoint)
                if self._max_in_flight is None:
                    self._slots.set_ceiling(self._in_flight_for(self._info))
            return self._info

    def _in_flight_for(self, info: ServerInfo) -> int:
        """A server on this machine may answer one request at a time, and the others would only wait in its queue."""
        if info.slots is not None:
            return min(info.slots, MAX_IN_FLIGHT)
        return 1 if self._endpoint.is_loopback and not info.answers_many else MAX_IN_FLIGHT

    async def send(
        self,
        request: Callable[[], Request],
        read: Callable[[dict[str, Any]], Reply[T]],
        adapt: Callable[[HTTPStatusError], bool],
    ) -> tuple[Reply[T], float]:
        """The reply, and the seconds that the successful attempt took.

        `read` raises TransportError for JSON that is not a reply. After an error status, `adapt` returns whether
        `request` has learnt from it; if so, the request is sent again at once. The call keeps its slot throughout, so that a
        server in trouble gets fewer calls.
        """
        failures = 0
        await self.server_info()
        async with self._slots.one():
            while True:
                if self._fatal_error:
                    raise UserError(self._fatal_error)
                epoch = self._slots.epoch
                try:
                    reply, latency = await self._attempt(request(), read)
                except HTTPStatusError as error:
                    self._raise_if_fatal(error)
                    if adapt(error):
                        continue
                    failure: HTTPStatusError | TransportError = error
                except TransportError as error:
                    failure = error
                    if error.timed_out:
                        self._slots.timed_out(epoch)
                else:
                    self._failed_in_a_row = 0
                    self._slots.answered()
                    return reply, _without_queue(latency, reply.work_s)
                failures += 1
                await self._wait(failure, failures)

    async def _attempt(self, request: Request, read: Callable[[dict[str, Any]], Reply[T]]) -> tuple[Reply[T], float]:
        price = request.price
        worst_case = price.cost(request.prompt_tokens, request.completion_tokens) if price else 0.0
        reservation = await self._budget.reserve(worst_case)
        with self._budget.holding(reservation):
            try:
                permit = await self._limits.admit(request.prompt_tokens + request.completion_tokens)
            except BaseException:
                reservation.settle(0.0)
                raise
            try:
                content, latency = await self._endpoint.post(request.path, request.body)
                reply = read(content)
            except (HTTPStatusError, UserError):
                self._settle(permit, reservation, 0, 0.0)
                raise
            except TransportError as error:
                if not error.sent:  # a request that was sent may be charged for, even without a reply
                    self._settle(permit, reservation, 0, 0.0)
                raise
            usage = reply.usage
            cost = (
                price.cost(usage.prompt_tokens, usage.completion_tokens, usage.cached_prompt_tokens) if price else 0.0
            )
            self._settle(permit, reservation, usage.prompt_tokens + usage.completion_tokens, cost)
            return reply, latency

    def _settle(self, permit: Permit, reservation: Reservation, tokens: int, cost: float) -> None:
        self._limits.finish(permit, tokens)
        reservation.settle(cost)

    def _raise_if_fatal(self, error: HTTPStatusError) -> None:
        url = self._endpoint.url
        if error.status in (401, 403) and not error.is_about_content():
            # Without the server's own message, which may quote the key.
            self._fatal_error = (
                f"{url} refused the key ({error.status}); check OPENAI_API_KEY (or ROLE_API_KEY, if the role has an endpoint "
                "of its own) and its permissions"
            )
        elif error.is_about_quota():
            self._fatal_error = f"the quota at {url} is used up ({error}); resume the run when it is renewed"
        if self._fatal_error:
            raise UserError(self._fatal_error)

    async def _wait(self, failure: HTTPStatusError | TransportError, failures: int) -> None:
        """Sleeps before the next attempt, or raises the error in which the call ends."""
        url = self._endpoint.url
        if isinstance(failure, HTTPStatusError):
            if failure.is_about_context():
                raise Refused(f"the request is longer than the model's context ({failure})")
            if failure.is_about_content():
                raise Refused(f"{url} refused the request for its content ({failure})")
            if failure.status == 404 or failure.is_about_model():
                raise UserError(
                    f"{url} does not have this model or path ({failure}); check the model's name and --base-url"
                )
        temporary = isinstance(failure, TransportError) or is_temporary(failure.status)
        headers = failure.headers if isinstance(failure, HTTPStatusError) else {}
        pause = backoff(failures, headers, self._clock)
        if temporary and failures <= self._retries and pause is not None:
            timed_out = isinstance(failure, TransportError) and failure.timed_out
            self._report("time-out" if timed_out else "retry", _in_words(failure, url))
            await self._clock.sleep(pause)
            return
        self._failed_in_a_row += 1
        description = _in_words(failure, url)
        if self._failed_in_a_row >= _STREAK:
            self._fatal_error = (
                f"{_STREAK} calls in a row failed, the last because {description}; resume the run when the server works "
                "again"
            )
            raise UserError(self._fatal_error)
        raise LLMError(f"{description} ({failures} attempt{'s' if failures > 1 else ''})")


def _in_words(failure: HTTPStatusError | TransportError, url: str) -> str:
    return f"{url} answered {failure}" if isinstance(failure, HTTPStatusError) else str(failure)


def _without_queue(latency_s: float, work_s: float | None) -> float:
    """The latency of an answer, without the time for which the request stood in the server's queue."""
    return work_s if work_s is not None and latency_s - work_s > _QUEUED_S else latency_s
