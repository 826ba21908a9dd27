"""A memory that does all that a run relies on, and memories that each break one thing on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from engram_eval.backends.backend import Services
from engram_eval.types import Context, ConversationInfo, Item, Session, Turn

_IGNORED = set("a an the is was of what who that in to for and or i my we".split())


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - _IGNORED


class GoodMemory:
    """Ranks turns by the words that they share with the query."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.turns: dict[str, tuple[Turn, datetime | None]] = {}

    async def ingest(self, session: Session) -> None:
        self.turns |= {turn.id: (turn, session.started_at) for turn in session.turns}

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        shared = {turn_id: len(words(query) & words(turn.text)) for turn_id, (turn, _) in self.turns.items()}
        ranked = sorted((turn_id for turn_id in shared if shared[turn_id]), key=lambda turn_id: -shared[turn_id])
        return self.context(ranked, budget)

    def context(self, ranked: list[str], budget: int | None) -> Context:
        lines: list[str] = []
        taken: list[Item] = []
        for turn_id in ranked:
            line = self.line(turn_id)
            if budget is None or self.services.tokens.count("\n".join([*lines, line])) <= budget:
                lines.append(line)
                taken.append(Item((turn_id,), 1.0))
        return Context("\n".join(lines), tuple(taken))

    def line(self, turn_id: str) -> str:
        turn, date = self.turns[turn_id]
        return f"[{date:%Y-%m-%d}] {turn.text}" if date else turn.text

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Good:
    """`memory` is the class of its memories."""

    memory: ClassVar[Any] = GoodMemory

    async def open(self, conversation: ConversationInfo, services: Services) -> Any:
        return self.memory(services)


class GoodSyncBackend(Good):
    """The same with plain methods."""

    def open(self, conversation: ConversationInfo, services: Services) -> Any:
        return GoodSyncMemory(GoodMemory(services))


class GoodSyncMemory:
    def __init__(self, memory: GoodMemory) -> None:
        self._memory = memory

    def ingest(self, session: Session) -> None:
        asyncio_free(self._memory.ingest(session))

    def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Any:
        return asyncio_free(self._memory.retrieve(query, asked_at=asked_at, budget=budget))

    def close(self) -> None: ...


def asyncio_free(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


# --- interface ---


class CannotAnswerDatedQuestions(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        if asked_at:
            raise TypeError("no dates, please")
        return await super().retrieve(query, asked_at=asked_at, budget=budget)


class ReturnsText(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Any:
        return 7


class OpensNothing(Good):
    async def open(self, conversation: ConversationInfo, services: Services) -> Any:
        return None


@dataclass(frozen=True)
class SettingWithoutDefault(Good):
    k: int


@dataclass(frozen=True)
class SettingOfAnyType(Good):
    where: Path = Path()


class UnannotatedSetting(Good):
    def __init__(self, k=5) -> None:  # type: ignore[no-untyped-def]
        self.k = k


@dataclass(frozen=True)
class MisspeltPreset(Good):
    k: int = 5
    presets: ClassVar[Any] = {"wide": {"kk": 9}}


@dataclass(frozen=True)
class ImpossiblePreset(Good):
    k: int = 5
    presets: ClassVar[Any] = {"wide": {"k": -1}}

    def __post_init__(self) -> None:
        if self.k < 0:
            raise ValueError("k must not be negative")


class OtherParameters(GoodMemory):
    async def retrieve(self, query: str, top_k: int = 5) -> Any:  # type: ignore[override]
        return Context("")


class NoClose(GoodMemory):
    close: Any = None


class FailsWhenEmpty(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        if not self.turns:
            raise IndexError("no index")
        return await super().retrieve(query, asked_at=asked_at, budget=budget)


class NeverEmpty(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        return (
            Context("No memories found.")
            if not self.turns
            else await super().retrieve(query, asked_at=None, budget=budget)
        )


# --- finding ---


class Newest(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        return self.context(list(self.turns)[::-1][:10], budget)


class Undated(GoodMemory):
    def line(self, turn_id: str) -> str:
        return self.turns[turn_id][0].text


class IndexesLater(GoodMemory):
    """Turns can be retrieved some time after ready() has returned."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.arrived = 0.0

    async def ready(self) -> None:
        self.arrived = time.monotonic() + 0.15

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        if time.monotonic() < self.arrived:
            return Context("")
        return await super().retrieve(query, asked_at=asked_at, budget=budget)


class LosesTheLastSession(GoodMemory):
    async def ingest(self, session: Session) -> None:
        if session.id != "D6":
            await super().ingest(session)


class SkipsGreetings(GoodMemory):
    async def ingest(self, session: Session) -> None:
        await super().ingest(replace(session, turns=session.turns[1:]))


class OwnIds(GoodMemory):
    def context(self, ranked: list[str], budget: int | None) -> Context:
        context = super().context(ranked, budget)
        return replace(context, items=tuple(Item((f"doc-{i}",), 1.0) for i, _ in enumerate(context.items)))


class ListsOwnIds(GoodMemory):
    def turn_ids(self) -> list[str]:
        return [*self.turns, "chunk-1"]


class NamesEachTwice(GoodMemory):
    def context(self, ranked: list[str], budget: int | None) -> Context:
        context = super().context(ranked, budget)
        return replace(context, items=context.items * 2)


class NamesWhatIsNotThere(GoodMemory):
    def context(self, ranked: list[str], budget: int | None) -> Context:
        context = super().context(ranked, budget)
        return replace(context, items=(*context.items, *(Item((t,), 0.1) for t in self.turns if t not in ranked)))


class Paraphrasing(Good):
    paraphrases: ClassVar[bool] = True


class NamesAll(GoodMemory):
    def context(self, ranked: list[str], budget: int | None) -> Context:
        return replace(super().context(ranked[:1], budget), items=(Item(tuple(self.turns), 1.0),))


class NamesOthers(GoodMemory):
    """Each sentence names other turns than those that it comes from."""

    def context(self, ranked: list[str], budget: int | None) -> Context:
        context = super().context(ranked, budget)
        others = [turn_id for turn_id in self.turns if turn_id not in ranked]
        return replace(context, items=tuple(Item((t,), 1.0) for t, _ in zip(others, context.items, strict=False)))


class KeepsByText(GoodMemory):
    async def ingest(self, session: Session) -> None:
        known = {turn.text for turn, _ in self.turns.values()}
        await super().ingest(replace(session, turns=tuple(t for t in session.turns if t.text not in known)))


class AppendsAlways(GoodMemory):
    """A session that comes again is appended again."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.lines: list[Turn] = []

    async def ingest(self, session: Session) -> None:
        self.lines += session.turns

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        return Context("\n".join(turn.text for turn in self.lines if words(query) & words(turn.text)))


class CountsMemories(GoodMemory):
    number = itertools.count()

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.own = next(self.number)

    def context(self, ranked: list[str], budget: int | None) -> Context:
        return super().context(ranked[self.own % 2 :], budget)


class LearnsFromQuestions(GoodMemory):
    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.asked = 0

    def context(self, ranked: list[str], budget: int | None) -> Context:
        self.asked += 1
        return super().context(ranked if self.asked == 1 else ranked[::-1], budget)


class SetOrder(GoodMemory):
    """In the order of a set of texts, which differs between processes."""

    def context(self, ranked: list[str], budget: int | None) -> Context:
        return super().context(list(set(ranked)), budget)


# --- budget ---


class IgnoresTheBudget(GoodMemory):
    def context(self, ranked: list[str], budget: int | None) -> Context:
        return super().context(ranked, None)


class AlwaysOneTurn(GoodMemory):
    def context(self, ranked: list[str], budget: int | None) -> Context:
        return super().context(ranked, budget) if budget else super().context(ranked[:1], None)


class OneTokenTooMany(GoodMemory):
    def context(self, ranked: list[str], budget: int | None) -> Context:
        if budget != 100:
            return super().context(ranked, budget)
        return Context(self.services.tokens.cut("word " * 300, budget + 1))


class NeedsABudget(GoodMemory):
    def context(self, ranked: list[str], budget: int | None) -> Context:
        assert budget is not None
        return super().context(ranked, budget)


# --- isolation ---


class ClassWide(GoodMemory):
    shared: ClassVar[dict[str, tuple[Turn, datetime | None]]] = {}

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.turns = self.shared

    async def ingest(self, session: Session) -> None:
        self.shared.update({t.id + t.text[:3]: (t, session.started_at) for t in session.turns})

    def context(self, ranked: list[str], budget: int | None) -> Context:
        return replace(super().context(ranked, budget), items=())

    async def close(self) -> None:
        self.shared.clear()


class Racing(GoodMemory):
    """A buffer of the module, which is right as long as one memory ingests at a time."""

    buffer: ClassVar[list[Turn]] = []

    async def ingest(self, session: Session) -> None:
        self.buffer.clear()
        for turn in session.turns:
            self.buffer.append(turn)
            await asyncio.sleep(0)
        self.turns |= {turn.id + turn.text[:3]: (turn, session.started_at) for turn in self.buffer}

    def context(self, ranked: list[str], budget: int | None) -> Context:
        return replace(super().context(ranked, budget), items=())


class ByConversation(Good):
    """Continues the memory of a conversation that it knows by its id, wherever the folder is."""

    def __init__(self) -> None:
        self.known: dict[str, GoodMemory] = {}

    async def open(self, conversation: ConversationInfo, services: Services) -> Any:
        return self.known.setdefault(conversation.id, GoodMemory(services))


# --- oddities ---


class DividesByWords(GoodMemory):
    async def ingest(self, session: Session) -> None:
        for turn in session.turns:
            1 / len(turn.text.split())
        await super().ingest(session)


class AsciiOnly(GoodMemory):
    def line(self, turn_id: str) -> str:
        return super().line(turn_id).encode("ascii", "ignore").decode()


class Short(GoodMemory):
    async def ingest(self, session: Session) -> None:
        if any(len(turn.text) > 8191 for turn in session.turns):
            raise ValueError("maximum context length is 8191")
        await super().ingest(session)


class LongTurnFirst(GoodMemory):
    """Stops at the first turn that does not fit."""

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        shared = {turn_id: len(turn.text) for turn_id, (turn, _) in self.turns.items() if len(turn.text) > 5000}
        return Context("") if shared else await super().retrieve(query, asked_at=asked_at, budget=budget)


class NeedsDates(GoodMemory):
    def line(self, turn_id: str) -> str:
        turn, date = self.turns[turn_id]
        return f"[{date:%d %B %Y}] {turn.text}"


class MatchesPatterns(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        re.compile(query)
        return await super().retrieve(query, asked_at=asked_at, budget=budget)


class Injected(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        if "DROP TABLE" in query:
            self.turns.clear()
        return await super().retrieve(query, asked_at=asked_at, budget=budget)


class PlainPaths(GoodMemory):
    def __init__(self, services: Services) -> None:
        super().__init__(services)
        str(services.folder).encode("ascii")


class SilentInOddPaths(GoodMemory):
    async def ingest(self, session: Session) -> None:
        if str(self.services.folder).isascii():
            await super().ingest(session)


# --- embedding ---


class Embedding(GoodMemory):
    """`warnings` says what it lost."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.warnings: list[str] = []

    async def ingest(self, session: Session) -> None:
        await super().ingest(session)
        try:
            vectors = await self.services.embedder.embed([turn.text for turn in session.turns])
            if vectors.shape != (len(session.turns), self.services.embedder.dimensions):
                self.lost("the embedder returns vectors of another shape")
        except ConnectionError:
            self.lost("the embedder cannot be reached")

    def lost(self, sentence: str) -> None:
        self.warnings.append(sentence)


class SilentlyLexical(Embedding):
    def lost(self, sentence: str) -> None: ...


class TrustsShapes(Embedding):
    """Notices an error, and no wrong shape."""

    def lost(self, sentence: str) -> None:
        if "shape" not in sentence:
            super().lost(sentence)


class EmbedsLate(GoodMemory):
    """Embeds its turns with each question, and pairs them with as many vectors as come."""

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        await self.services.embedder.embed([query])
        vectors = await self.services.embedder.embed([turn.text for turn, _ in self.turns.values()])
        kept = dict(zip(self.turns, vectors, strict=False))
        return self.context([turn_id for turn_id in kept if words(query) & words(self.turns[turn_id][0].text)], budget)


# --- outside, ending ---


class WritesElsewhere(GoodMemory):
    async def ingest(self, session: Session) -> None:
        await super().ingest(session)
        (self.services.folder.parent / "global.db").write_text(str(time.time_ns()))


class CallsHome(GoodMemory):
    async def ingest(self, session: Session) -> None:
        await super().ingest(session)
        with contextlib.suppress(OSError):
            socket.create_connection(("telemetry.example.com", 443), timeout=1)


class ConnectsByAddress(GoodMemory):
    async def ingest(self, session: Session) -> None:
        await super().ingest(session)
        with socket.socket() as sock:
            sock.connect(("192.0.2.1", 80))


class LeavesAProcess(GoodMemory):
    started: ClassVar[list[Any]] = []

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        self.started.append(subprocess.Popen(command, start_new_session=True))


class LeavesAThread(GoodMemory):
    stopped: ClassVar[Any] = threading.Event()

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        threading.Thread(target=self.stopped.wait, args=(10,), name="indexer").start()


class LeavesATask(GoodMemory):
    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.task = asyncio.get_running_loop().create_task(asyncio.sleep(60))


class CannotCloseTwice(GoodMemory):
    async def close(self) -> None:
        if not self.turns:
            raise RuntimeError("nothing to flush")


# --- hang and crash ---


class Waits(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        await asyncio.sleep(1000)
        return Context("")


class Blocks(GoodMemory):
    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        time.sleep(1000)
        return Context("")


class Crashes(GoodMemory):
    async def ingest(self, session: Session) -> None:
        print("no memory left")
        os._exit(9)


class Cancels(GoodMemory):
    async def ingest(self, session: Session) -> None:
        raise asyncio.CancelledError


class Exits(GoodMemory):
    async def ingest(self, session: Session) -> None:
        raise SystemExit(3)


def backend_of(memory: type, base: type = Good) -> Any:
    """A backend class whose memories are of this class."""
    return type(f"{memory.__name__}Backend", (base,), {"memory": memory})


BlocksBackend = backend_of(Blocks)
CrashesBackend = backend_of(Crashes)
SetOrderBackend = backend_of(SetOrder)
