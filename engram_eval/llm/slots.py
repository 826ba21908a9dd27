"""How many requests are in flight at a time: as many as the server answers side by side, fewer while it is too slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_ANSWERS_BEFORE_MORE = 8  # for each request in flight: so many answers in a row, and one more may be in flight


class Slots:
    """`ceiling`: the most requests in flight. After a time-out there are half as many, and later one more after another.

    `epoch` counts the reductions: a request that was sent before the last one says nothing about the present limit.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = self.limit = ceiling
        self.epoch = 0
        self._in_flight = 0
        self._answered = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def set_ceiling(self, ceiling: int) -> None:
        """Call this before the first request."""
        self._ceiling = self.limit = ceiling

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Waits for a free slot, first come, first served, and holds it."""
        await self._acquire()
        try:
            yield
        finally:
            self._release()

    def answered(self) -> None:
        self._answered += 1
        if self.limit < self._ceiling and self._answered >= _ANSWERS_BEFORE_MORE * self.limit:
            self.limit, self._answered = self.limit + 1, 0
            self._hand_out()

    def timed_out(self, epoch: int) -> None:
        """`epoch`: when the request was sent."""
        if epoch == self.epoch:
            self.limit = max(1, self.limit // 2)
            self._answered, self.epoch = 0, epoch + 1

    async def _acquire(self) -> None:
        if self._in_flight < self.limit and not self._waiting:
            self._in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had just got its slot
                self._release()
            raise

    def _release(self) -> None:
        self._in_flight -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._in_flight < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)
