"""The time and money that memories spend on models and embedders, whether their calls are cached or not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engram_eval.llm import LLM, Completion


class Meter:
    """The meter of one memory's services. To measure a piece of work, add how much these figures grew during it.

    `unmeasured_s`: seconds to add to the wall-clock time, to get the time that the work takes without a cache (it may be
    negative). `cost_usd`: what the calls cost, now or when they were cached. `unpriced`: calls of unknown cost. So no
    memory looks faster or cheaper because another one filled the cache. Overlapping calls count as if they had run one
    after another: their time does not depend on `--max-in-flight`, nor on how long they waited for limits.
    """

    def __init__(self) -> None:
        self.unmeasured_s = 0.0
        self.cost_usd = 0.0
        self.unpriced = 0
        self._pending = 0
        self._waiting_since = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around a call. Wall-clock time does not count while at least one call is pending."""
        if not self._pending:
            self._waiting_since = perf_counter()
        self._pending += 1
        try:
            yield
        finally:
            self._pending -= 1
            if not self._pending:
                self.unmeasured_s -= perf_counter() - self._waiting_since

    def charge(self, seconds: float, dollars: float | None) -> None:
        """Adds the seconds and dollars that a call took when it was made."""
        self.unmeasured_s += seconds
        self.cost_usd += dollars or 0.0
        self.unpriced += dollars is None

    def replace(self, took_s: float, seconds: float) -> None:
        """Counts work that took `took_s` just now as `seconds`, the time that it takes without a cache."""
        measured_s = 0.0 if self._pending else took_s  # while calls are pending, wall-clock time does not count
        self.unmeasured_s += seconds - measured_s


class ChatModel(Protocol):
    """A model that a memory may call."""

    model: str

    async def chat(
        self,
        *,
        role: str,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 1024,
    ) -> Completion:
        """As `LLM.chat`, with the model that the run sets for its memories."""
        ...


class MeteredLLM:
    """The model that memories call, with each call added to the meter of its memory.

    All memories of a run together have `at_once` calls at the client at a time, first come, first served. So a call of the
    reader waits behind these at most, and not behind all that a conversation's memories have to ask. `max_tokens`: the user's
    limit, in place of theirs.
    """

    def __init__(
        self,
        llm: LLM,
        model: str,
        meter: Meter,
        *,
        at_once: asyncio.Semaphore,
        max_tokens: int | None = None,
    ) -> None:
        self.model = model
        self._llm, self._meter, self._at_once, self._max_tokens = llm, meter, at_once, max_tokens
        self._stopped = False

    def metered(self, meter: Meter) -> MeteredLLM:
        """The same model for one memory, with its own meter."""
        return MeteredLLM(self._llm, self.model, meter, at_once=self._at_once, max_tokens=self._max_tokens)

    def stop(self) -> None:
        """Calls that have not had their turn, and any later ones, raise CancelledError: their memory is being closed."""
        self._stopped = True

    async def chat(
        self,
        *,
        role: str,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 1024,
    ) -> Completion:
        with self._meter.waiting():
            async with self._at_once:
                if self._stopped:
                    raise asyncio.CancelledError
                completion = await self._llm.chat(
                    role=role,
                    model=self.model,
                    messages=messages,
                    schema=schema,
                    max_tokens=self._max_tokens or max_tokens,
                )
        self._meter.charge(completion.latency_s, completion.cost_usd)
        return completion
