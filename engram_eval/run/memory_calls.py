"""Calls the methods of a memory, whether its author wrote them with or without `async`, for a limited time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from engram_eval.system.own_thread import OwnThread


class MemoryTimeout(Exception):  # noqa: N818
    """A memory did not return in time. It is not called again."""


class MemoryCalls:
    """Sync methods run in one thread of the memory's own: many libraries want to be used in the thread that made them, and
    block. Async methods run in the event loop. `seconds`: the longest that one call may take; `asks_model`: the memory asks the
    run's model, whose calls have time-outs of their own and may have to queue, so that ingesting may take any time.
    """

    def __init__(self, label: str, seconds: float, *, asks_model: bool = False) -> None:
        self._unlimited = ("ingest", "ready") if asks_model else ()
        self._thread = OwnThread(f"memory {label}")
        self._seconds = seconds
        self._stuck = ""

    async def call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """What the method returns. Raises MemoryTimeout if it takes too long, and at once if an earlier one did."""
        if self._stuck:
            raise MemoryTimeout(self._stuck)
        name = getattr(method, "__name__", "a method")
        try:
            async with asyncio.timeout(None if name in self._unlimited else self._seconds) as limit:
                if inspect.iscoroutinefunction(method):
                    return await method(*arguments, **named)
                value = await self._thread.call(lambda: method(*arguments, **named))
                return await value if inspect.isawaitable(value) else value
        except TimeoutError:
            if not limit.expired():  # it is the memory's own
                raise
        self._stuck = (
            f"{name} did not return within {self._seconds:g} s (--memory-timeout); the memory is not called again"
        )
        raise MemoryTimeout(self._stuck)

    def end(self) -> None:
        self._thread.end()
