"""Runs coroutines at the same time, up to a limit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Self


class Pool:
    """Runs up to `limit` coroutines at a time; with a limit of one, each in the caller's own task.

    The first that raises stops the pool. However it ends, it waits for the coroutines in flight: they are already paid for.
    `announce` prints on stderr that it waits.
    """

    def __init__(self, limit: int, *, announce: bool = True) -> None:
        self._limit = limit
        self._announce = announce
        self._running: list[asyncio.Task[None]] = []  # in the order in which they started

    @property
    def busy(self) -> bool:
        """Whether work is in flight."""
        return any(not task.done() for task in self._running)

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts the work and returns when there is room for more. Raises the error of any work so far."""
        if self._limit == 1:
            await work
            return
        self._running.append(asyncio.create_task(work))
        while len(self._running) >= self._limit:
            await self._wait(asyncio.FIRST_COMPLETED)

    async def _wait(self, until: str) -> None:
        done, _ = await asyncio.wait(self._running, return_when=until)
        errors = [task.exception() for task in self._running if task in done]
        self._running = [task for task in self._running if task not in done]
        for error in errors:
            if error:
                raise error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            while self._running:
                await self._wait(asyncio.ALL_COMPLETED)
        elif self._running:
            if self._announce:
                count = len(self._running)
                print(f"\nwaiting for {count} answers in flight (Ctrl-C again drops them)", file=sys.stderr, flush=True)
            await asyncio.wait(self._running)
