"""How many requests are in flight at a time: as many as the server answers side by side, fewer while it is too slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_ANSWERS_BEFORE_MORE = 8  # for each request in flight: so many answers in a row, and one more may be in flight


class Slots:
    """`ceiling`: the most requests in flight. After a time-out there are half as many, and later one more after another.

    `epoch` counts the reductions: a request that was sent before the last one says nothing about the present limit.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = self._limit = ceiling
        self._in_flight = 0
        self._answered = 0
        self.epoch = 0
        self._free = asyncio.Condition()

    @property
    def limit(self) -> int:
        return self._limit

    def set_ceiling(self, ceiling: int) -> None:
        """Call this before the first request."""
        self._ceiling = self._limit = ceiling

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Waits for a free slot and holds it."""
        async with self._free:
            await self._free.wait_for(lambda: self._in_flight < self._limit)
            self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            await asyncio.shield(self._wake())

    def answered(self) -> None:
        self._answered += 1
        if self._limit < self._ceiling and self._answered >= _ANSWERS_BEFORE_MORE * self._limit:
            self._limit, self._answered = self._limit + 1, 0

    def timed_out(self, epoch: int) -> None:
        """`epoch`: when the request was sent."""
        if epoch == self.epoch:
            self._limit = max(1, self._limit // 2)
            self._answered, self.epoch = 0, epoch + 1

    async def _wake(self) -> None:
        async with self._free:
            self._free.notify_all()
