"""Runs asynchronous work from synchronous code, also where an event loop runs already, as in a notebook."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
_running: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = {}  # by thread


def outside_event_loop(function: Callable[[], T]) -> T:
    """Calls the function where no event loop runs: in this thread if possible, otherwise in a new one.

    Ctrl-C reaches the function in either case.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function()
    result: Future[T] = Future()
    thread = threading.Thread(target=_call, args=(function, result), name="engram_eval")
    thread.start()
    try:
        return result.result()
    except KeyboardInterrupt:
        _cancel(thread)
        thread.join()
        raise


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of the coroutine. Raises KeyboardInterrupt after Ctrl-C, when the coroutine has ended."""

    async def registered() -> T:
        task = asyncio.current_task()
        assert task is not None
        _running[threading.get_ident()] = asyncio.get_running_loop(), task
        try:
            return await work
        finally:
            del _running[threading.get_ident()]

    try:
        return asyncio.run(registered())
    except asyncio.CancelledError:  # by `_cancel`: in the main thread, asyncio raises KeyboardInterrupt itself
        raise KeyboardInterrupt from None


class LoopWatch:
    """Tells whether the event loop has run anything else since this was made."""

    def __init__(self) -> None:
        self.ran = False
        asyncio.get_running_loop().call_soon(self._mark)

    def _mark(self) -> None:
        self.ran = True


async def awaited(value: Any) -> Any:
    """The result of a third party's method, which its author may have written with or without `async`."""
    return await value if inspect.isawaitable(value) else value


def _call(function: Callable[[], T], result: Future[T]) -> None:
    try:
        result.set_result(function())
    except BaseException as error:
        result.set_exception(error)


def _cancel(thread: threading.Thread) -> None:
    loop_and_task = _running.get(thread.ident or 0)
    if loop_and_task:
        loop, task = loop_and_task
        loop.call_soon_threadsafe(task.cancel)
