"""A thread of its own for somebody else's blocking code, which the event loop can wait for and give up."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class OwnThread:
    """One daemon thread, made at the first call. All calls run in it, one after another: some libraries need that.

    A call that never returns blocks the calls after it, but not the event loop, nor the end of the process.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, function: Callable[[], T]) -> T:
        """The result of the function, or what it raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                value = context.run(function)
            except BaseException as error:
                _tell(loop, _fail, result, error)
            else:
                _tell(loop, _succeed, result, value)

        self._work.put(work)
        return await result

    def end(self) -> None:
        """The thread ends when it has done what it was given."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _tell(loop: asyncio.AbstractEventLoop, settle: Callable[..., None], *arguments: Any) -> None:
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(settle, *arguments)


def _succeed(result: asyncio.Future[T], value: T) -> None:
    if not result.done():
        result.set_result(value)


def _fail(result: asyncio.Future[T], error: BaseException) -> None:
    if not result.done():
        # A future takes no StopIteration, and an exit of one thread must not end the process.
        plain = isinstance(error, Exception) and not isinstance(error, StopIteration)
        result.set_exception(error if plain else RuntimeError(f"{type(error).__name__}: {error}"))
