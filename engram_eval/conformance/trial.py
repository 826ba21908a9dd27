"""Opens memories for the checks. Every call of a memory's method is a step that has a time limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from engram_eval.backends.backend import BackendInfo, MemoryBackend, Services, backend_info
from engram_eval.conformance.context import as_context
from engram_eval.conformance.dialogues import Dialogue
from engram_eval.conformance.failed import Failed, describe
from engram_eval.conformance.network import NetworkGuard
from engram_eval.embedders.embedder import Embedder
from engram_eval.language.tokens import TokenCounter
from engram_eval.llm.cost.metering import Meter, MeteredLLM
from engram_eval.run.memory_calls import MemoryCalls, MemoryTimeout
from engram_eval.run.models import WINDOW
from engram_eval.types import Context, ConversationInfo, Session

BUDGET = 916
"""The budget of most retrievals: LoCoMo's, from the ENGRAM paper."""


class _Default(Enum):
    BUDGET = "budget"


_DEFAULT = _Default.BUDGET


@dataclass(frozen=True, slots=True)
class Trial:
    """What a check gets. `folder`: an empty one; each memory gets a folder in it. `limit_s`: seconds for each step.

    `llm`: for a backend that asks a model. `announce` is told the name of each step before it begins. `network`: None if
    connections are allowed. `shared`: a folder that a check finds again in another process.
    """

    backend: MemoryBackend
    embedder: Embedder
    tokens: TokenCounter
    folder: Path
    limit_s: float
    llm: MeteredLLM | None = None
    announce: Callable[[str], None] = lambda _step: None
    network: NetworkGuard | None = None
    shared: Path | None = None
    _folders: list[Path] = field(default_factory=list)

    @property
    def info(self) -> BackendInfo:
        return backend_info(self.backend)

    @property
    def budget(self) -> int | None:
        """What limits a context in a run: the token budget, the reader's window, or nothing."""
        return {"budget": BUDGET, "window": WINDOW, "none": None}[self.info.context_limit]

    def new_folder(self, name: str = "memory") -> Path:
        folder = self.folder / f"{name}-{len(self._folders)}"
        folder.mkdir(parents=True)
        self._folders.append(folder)
        return folder

    async def step(self, name: str, calls: MemoryCalls, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """What a method returns. Raises Failed if it raises or does not return in time."""
        self.announce(name)
        try:
            return await calls.call(method, *given, **named)
        except MemoryTimeout:
            raise Failed(hung(name, self.limit_s)) from None
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # also SystemExit and CancelledError, which a memory may raise
            raise Failed(f"{name} raised {describe(error)}") from error

    @contextlib.asynccontextmanager
    async def open(
        self, info: ConversationInfo, *, folder: Path | None = None, embedder: Embedder | None = None
    ) -> AsyncIterator[TrialMemory]:
        """A memory without content. It is closed at the end; after an error, errors of `close` are ignored."""
        llm = self.llm.metered(Meter()) if self.llm else None
        loop = asyncio.get_running_loop()
        services = Services(embedder or self.embedder, self.tokens, folder or self.new_folder(), llm, loop)
        calls = MemoryCalls(info.id, self.limit_s)
        opened = await self.step("open", calls, self.backend.open, info, services)
        if not callable(getattr(opened, "retrieve", None)):
            raise Failed(
                f"open returned {type(opened).__name__}, which has no method 'retrieve'; return the memory of one conversation"
            )
        memory = TrialMemory(self, opened, calls)
        try:
            yield memory
        except BaseException:
            with contextlib.suppress(Failed):
                await memory.close()
            raise
        await memory.close()

    @contextlib.asynccontextmanager
    async def filled(
        self, dialogue: Dialogue, *, folder: Path | None = None, embedder: Embedder | None = None
    ) -> AsyncIterator[TrialMemory]:
        """A memory that has ingested the dialogue and is ready."""
        async with self.open(dialogue.conversation.info, folder=folder, embedder=embedder) as memory:
            await memory.fill(dialogue)
            yield memory


@dataclass(slots=True)
class TrialMemory:
    """A memory whose methods are called as a run calls them."""

    trial: Trial
    memory: Any
    calls: MemoryCalls
    closed: bool = False

    async def fill(self, dialogue: Dialogue) -> None:
        for session in dialogue.conversation.sessions:
            await self.ingest(session)
        await self.ready()

    async def ingest(self, session: Session) -> None:
        await self._step("ingest", self.memory.ingest, session)

    async def ready(self) -> None:
        if hasattr(self.memory, "ready"):
            await self._step("ready", self.memory.ready)

    async def turn_ids(self) -> Collection[str]:
        """Empty if the memory does not tell."""
        return await self._step("turn_ids", self.memory.turn_ids) if hasattr(self.memory, "turn_ids") else ()

    async def retrieve(
        self,
        query: str,
        *,
        budget: int | _Default | None = _DEFAULT,
        asked_at: datetime | None = None,
        evidence: Sequence[str] = (),
        remark: str = "",
    ) -> Context:
        """`budget`: by default that of a run. `remark` follows the name of the step, as in "retrieve for an empty query"."""
        limit = self.trial.budget if isinstance(budget, _Default) else budget
        if self.trial.info.sees_evidence:
            await self._step("show_evidence", self.memory.show_evidence, tuple(evidence))
        step = f"retrieve {remark}".strip()
        returned = await self._step(step, self.memory.retrieve, query, asked_at=asked_at, budget=limit)
        return as_context(returned, limit, self.trial.tokens)

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            try:
                await self._step("close", self.memory.close)
            finally:
                self.calls.end()

    async def _step(self, name: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        return await self.trial.step(name, self.calls, method, *given, **named)


def hung(step: str, limit_s: float) -> str:
    return (
        f"{step} did not return within {limit_s:g} s; find what it waits for, give its calls a time limit of their own, "
        "or allow more with --timeout"
    )
