"""What the services of memories take and cost, cached or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engram_eval.llm import LLM, Completion


class Meter:
    """One for all services of a run: who measures a span adds the growth of these figures over the span.

    `unmeasured_s` is what a clock on the wall lacks of the time that the work takes when nothing of it is cached (or has
    too much). `cost_usd` grows by what the work costs or had cost, `unpriced` by calls of which nobody knows. So no
    memory looks faster, or cheaper, for having come second. Calls may overlap; their time counts as if they had come one
    after the other: it is the same whatever `--max-in-flight` is, and however long they waited for limits.
    """

    def __init__(self) -> None:
        self.unmeasured_s = 0.0
        self.cost_usd = 0.0
        self.unpriced = 0
        self._pending = 0
        self._waiting_since = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around a call: the wall's time while at least one is waited for does not count."""
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
        """What a call took and cost when it was made."""
        self.unmeasured_s += seconds
        self.cost_usd += dollars or 0.0
        self.unpriced += dollars is None

    def replace(self, took_s: float, seconds: float) -> None:
        """For work that took `took_s` just now, and takes `seconds` when nothing of it is cached."""
        self.unmeasured_s += seconds - (0.0 if self._pending else took_s)  # while calls wait, no time counts


class ChatModel(Protocol):
    """A model that a memory may ask."""

    model: str

    async def chat(
        self,
        *,
        role: str,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 1024,
    ) -> Completion:
        """As `LLM.chat`, of the model that the run names for its memories."""
        ...


class MeteredLLM:
    """The model that memories ask, with its calls on the meter."""

    def __init__(self, llm: LLM, model: str, meter: Meter) -> None:
        self.model = model
        self._llm, self._meter = llm, meter

    async def chat(
        self,
        *,
        role: str,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 1024,
    ) -> Completion:
        with self._meter.waiting():
            completion = await self._llm.chat(
                role=role, model=self.model, messages=messages, schema=schema, max_tokens=max_tokens
            )
        self._meter.charge(completion.latency_s, completion.cost_usd)
        return completion
