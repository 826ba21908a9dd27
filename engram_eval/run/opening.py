"""Opens the sources of each conversation, ahead of its turn where opening waits for a model.

Conversations are given out in order. While questions are asked about one, memories of the next ones ingest, so that their
calls overlap up to the client's limit. Sources of one conversation are opened one after another: the second often makes the
calls of the first, and finds them in the cache.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from engram_eval.run.answer_source import AnswerSource, OpenSource
from engram_eval.types import Conversation, Question

_AHEAD = (
    16  # sources: enough for a client's limit if each makes a few calls at a time, and few enough to hold in memory
)


@dataclass(frozen=True, slots=True)
class Job:
    """One source and the questions that it is asked about one conversation."""

    label: str
    source: AnswerSource
    conversation: Conversation
    questions: Sequence[Question]

    @property
    def key(self) -> tuple[str, str]:
        return self.label, self.conversation.id


Open = Callable[[Job], Coroutine[Any, Any, OpenSource]]


class Openings:
    """Opens the jobs of each conversation. `overlap`: whether sources that overlap are opened ahead; else none is.

    At its end, however it comes, memories that nobody took are closed; they wait for the calls that are under way.
    """

    def __init__(self, conversations: Iterable[Sequence[Job]], open_source: Open, *, overlap: bool) -> None:
        self._conversations = iter(conversations)
        self._open = open_source
        self._overlap = overlap
        self._next: deque[Sequence[Job]] = deque()
        self._tasks: dict[tuple[str, str], asyncio.Task[OpenSource]] = {}  # by the job's key, until somebody takes it

    def conversations(self) -> Iterator[Sequence[Job]]:
        """The jobs of each conversation, in order."""
        while True:
            while not self._next or self._has_room():
                jobs = next(self._conversations, None)
                if jobs is None:
                    break
                self._next.append(jobs)
                self._start(jobs)
            if not self._next:
                return
            yield self._next.popleft()

    def _has_room(self) -> bool:
        return self._overlap and len(self._tasks) < _AHEAD and len(self._next) < _AHEAD

    @property
    def busy(self) -> bool:
        """Whether a source is being opened ahead of its turn."""
        return any(not task.done() for task in self._tasks.values())

    async def take(self, job: Job) -> OpenSource:
        """The opened source of a job, which the caller closes. Raises what opening it raised."""
        task = self._tasks.get(job.key)
        if task is None:
            return await self._open(job)
        try:
            return await asyncio.shield(task)  # after Ctrl-C, the end below stops all memories at the same time
        finally:
            if task.done():
                del self._tasks[job.key]

    def _start(self, jobs: Sequence[Job]) -> None:
        previous: asyncio.Task[OpenSource] | None = None
        for job in jobs:
            if self._overlap and job.source.overlaps and job.key not in self._tasks:
                previous = self._tasks[job.key] = asyncio.create_task(self._open_after(previous, job))

    async def _open_after(self, previous: asyncio.Task[OpenSource] | None, job: Job) -> OpenSource:
        if previous:
            await asyncio.wait([previous])
        return await self._open(job)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for task in self._tasks.values():
            task.cancel()
        for opened in await asyncio.gather(*self._tasks.values(), return_exceptions=True):
            if not isinstance(opened, BaseException):
                with contextlib.suppress(Exception):  # the error that ended the run is the one to report
                    await opened.close()
