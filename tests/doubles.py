"""A reader, a judge and memories that fail or misbehave on purpose, named on the command line as any third party's are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engram_eval.backends.backend import Services
from engram_eval.backends.transcript import Transcript
from engram_eval.services import RoleServices
from engram_eval.types import Answer, Context, ConversationInfo, Hit, Item, Question, Session, Turn, Verdict


class EchoReader:
    """Answers with the first line of the context that is a turn."""

    name, model, window = "echo", "echo", 1000

    def __init__(self, services: RoleServices) -> None:
        self._count = services.tokens.count

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer:
        lines = [line for line in context.text.splitlines() if not line.startswith(("[", "#"))]
        text = lines[0] if lines else "not mentioned"
        return Answer(text, self._count(context.text + question), self._count(text))


class FussyReader(EchoReader):
    """Fails on every question that begins with "When"."""

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer:
        if question.startswith("When"):
            raise TimeoutError("no answer\nwithin 1 s")
        return await super().answer(question, asked_at=asked_at, context=context)


class ContainsJudge:
    name, agreement = "contains", ""

    async def judge(self, question: Question, answer: str) -> Verdict:
        right = question.gold.lower() in answer.lower() or question.unanswerable
        return Verdict(right, (right,), "gold in answer" if right else "gold not in answer")


@dataclass(frozen=True)
class VerboseBackend:
    """Ignores the budget."""

    words: int = 5000
    loud: bool = False
    weight: float = 0.5

    async def open(self, conversation: ConversationInfo, services: Services) -> VerboseMemory:
        return VerboseMemory(self.words)


class VerboseMemory:
    def __init__(self, words: int) -> None:
        self._words = words

    async def ingest(self, session: Session) -> None: ...

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        return Context("word " * self._words, (Item(("D1:1",), 1.0),))

    async def close(self) -> None:
        raise OSError("cannot close")


class LumpingBackend:
    """Sends every turn in time order, whatever the budget, as one item that names the last turn first."""

    async def open(self, conversation: ConversationInfo, services: Services) -> LumpingMemory:
        return LumpingMemory()


class LumpingMemory:
    def __init__(self) -> None:
        self._turns: list[Turn] = []

    async def ingest(self, session: Session) -> None:
        self._turns += session.turns

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        text = "\n".join(f"{turn.speaker}: {turn.text}" for turn in self._turns)
        return Context(text, (Item(tuple(turn.id for turn in reversed(self._turns)), 1.0),))

    async def close(self) -> None: ...


class NewestBackend:
    """Retrieves the newest turns that fit, as a context that it renders itself."""

    async def open(self, conversation: ConversationInfo, services: Services) -> NewestMemory:
        return NewestMemory(services)


class NewestMemory:
    def __init__(self, services: Services) -> None:
        self.transcript = Transcript(services.tokens)

    async def ingest(self, session: Session) -> None:
        self.transcript.add(session)

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Any:
        newest = list(range(len(self.transcript.lines)))[::-1]
        return self.transcript.context(newest, newest[::-1], budget)

    async def close(self) -> None: ...


class NewestHitsBackend:
    """The same, as hits."""

    async def open(self, conversation: ConversationInfo, services: Services) -> NewestHitsMemory:
        return NewestHitsMemory()


class NewestHitsMemory:
    def __init__(self) -> None:
        self.hits: list[Hit] = []

    async def ingest(self, session: Session) -> None:
        for turn in session.turns:
            self.hits.append(Hit(f"{turn.speaker}: {turn.text}", (turn.id,), len(self.hits), session.started_at))

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> list[Hit]:
        return self.hits[::-1]

    async def close(self) -> None: ...


class BrokenBackend:
    """Fails when it ingests."""

    async def open(self, conversation: ConversationInfo, services: Services) -> VerboseMemory:
        raise ConnectionError("no such host")


@dataclass(frozen=True)
class CancellingBackend:
    """Its memory cancels itself, as an inner time-out of its own might."""

    async def open(self, conversation: ConversationInfo, services: Services) -> VerboseMemory:
        raise asyncio.CancelledError


@dataclass(frozen=True)
class SlowBackend:
    """Sleeps as long as it says, and embeds one text whenever it is asked."""

    ingest_s: float = 0.01
    retrieval_s: float = 0.02

    async def open(self, conversation: ConversationInfo, services: Services) -> SlowMemory:
        return SlowMemory(self, services)


class SlowMemory:
    def __init__(self, settings: SlowBackend, services: Services) -> None:
        self._settings, self._services = settings, services

    async def ingest(self, session: Session) -> None:
        await asyncio.sleep(self._settings.ingest_s)
        await self._services.embedder.embed([turn.text for turn in session.turns])

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        await asyncio.sleep(self._settings.retrieval_s)
        await self._services.embedder.embed([query])
        return Context("")

    async def close(self) -> None: ...


@dataclass(frozen=True)
class OddBackend:
    """Recalls what is no context, or one that names no turns."""

    returns: str = "nothing"

    async def open(self, conversation: ConversationInfo, services: Services) -> OddMemory:
        return OddMemory(self.returns)


class OddMemory:
    def __init__(self, returns: str) -> None:
        self._returns = returns

    async def ingest(self, session: Session) -> None: ...

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Any:
        return {
            "nothing": None,
            "text": "a dog",
            "unknown": Context("a dog", (Item(("doc3",), 1.0),)),
            "string": Context("a dog", (Item("D1:1", 1.0),)),  # type: ignore[arg-type]
            "plain": Context("a dog"),
        }[self._returns]

    async def close(self) -> None: ...
