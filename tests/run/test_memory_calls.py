"""Memories as their authors write them: with or without `async`, bound to a thread, blocking, hanging."""

# ruff: noqa: ARG002 - doubles have the signatures of what they replace
from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import pytest

import engram_eval as ee
from engram_eval.backends.backend import Services
from engram_eval.embedders.embedder import Vectors
from engram_eval.run.memory_calls import MemoryCalls, MemoryTimeout
from engram_eval.types import Context, ConversationInfo, Item, Session


class SyncMemory:
    """No method has `async`. It keeps its turns in SQLite, whose connection belongs to the thread that opened it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._db = sqlite3.connect(services.folder / "turns.sqlite")
        self._db.execute("CREATE TABLE turns (id TEXT, text TEXT)")

    def ingest(self, session: Session) -> None:
        vectors = self._services.embed([turn.text for turn in session.turns])
        assert vectors.shape == (len(session.turns), self._services.embedder.dimensions)
        self._db.executemany(
            "INSERT INTO turns VALUES (?, ?)", [(t.id, f"{t.speaker}: {t.text}") for t in session.turns]
        )

    def ready(self) -> None:
        self._db.commit()

    def turn_ids(self) -> set[str]:
        return {row[0] for row in self._db.execute("SELECT id FROM turns")}

    def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        rows = self._db.execute("SELECT id, text FROM turns LIMIT 3").fetchall()
        return Context("\n".join(text for _, text in rows), tuple(Item((id_,), 1.0) for id_, _ in rows))

    def close(self) -> None:
        self._db.close()


class SyncBackend:
    def open(self, conversation: ConversationInfo, services: Services) -> SyncMemory:
        return SyncMemory(services)


class AsyncTwin:
    """The same memory behind async methods, which run in the event loop."""

    async def open(self, conversation: ConversationInfo, services: Services) -> AsyncTwinMemory:
        return AsyncTwinMemory(SyncMemory(services))


class AsyncTwinMemory:
    def __init__(self, memory: SyncMemory) -> None:
        self._memory = memory

    async def ingest(self, session: Session) -> None:
        self._memory.ingest(session)

    async def ready(self) -> None:
        self._memory.ready()

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        return self._memory.retrieve(query, asked_at=asked_at, budget=budget)

    async def close(self) -> None:
        self._memory.close()


class StuckMemory(SyncMemory):
    """Never returns from `retrieve`, as a client of a server that is gone."""

    gone: ClassVar[Event] = Event()

    def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        self.gone.wait()
        return Context("")


class StuckBackend:
    def open(self, conversation: ConversationInfo, services: Services) -> StuckMemory:
        return StuckMemory(services)


def _run(tmp_path: Path, name: str, **backends: Any) -> ee.Run:
    return ee.evaluate(
        dataset="synthetic",
        backends=backends,
        controls=False,
        options={"dataset.conversations": "2", "dataset.turns": "60"},
        limit=10,
        out=tmp_path / name,
        memory_timeout=5 if name != "stuck" else 0.2,
    )


def test_a_memory_without_async_gives_the_records_of_its_async_twin(tmp_path: Path) -> None:
    run = _run(tmp_path, "run", sync=SyncBackend, twin=AsyncTwin)
    assert not run.errors
    same = ("question_id", "answer", "correct", "retrieved", "context_tokens", "evidence_stored")
    of_sync, of_twin = (
        [[getattr(record, name) for name in same] for record in run.records() if record.backend == label]
        for label in ("sync", "twin")
    )
    assert len(of_sync) == 10
    assert of_sync == of_twin


def test_a_memory_that_hangs_costs_its_own_questions_and_is_not_called_again(tmp_path: Path) -> None:
    run = _run(tmp_path, "stuck", stuck=StuckBackend, sync=SyncBackend)
    StuckMemory.gone.set()
    assert len(run.errors) == 10
    assert {record.backend for record in run.errors} == {"stuck"}
    assert all("retrieve did not return within 0.2 s (--memory-timeout)" in str(record.error) for record in run.errors)


def test_a_memorys_calls_run_in_one_thread_of_its_own() -> None:
    async def main() -> list[int]:
        calls = MemoryCalls("a", 5)
        threads = [await calls.call(threading.get_ident) for _ in range(3)]
        calls.end()
        return threads

    threads = asyncio.run(main())
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("its own"), StopIteration("x"), SystemExit(3)])
def test_what_a_method_raises_is_raised_and_ends_nothing_else(error: BaseException) -> None:
    def fails() -> None:
        raise error

    async def main() -> str:
        calls = MemoryCalls("a", 5)
        with pytest.raises(Exception, match=str(error)) as caught:
            await calls.call(fails)
        assert not isinstance(caught.value, MemoryTimeout)
        answer: str = await calls.call(lambda: "still there")
        calls.end()
        return answer

    assert asyncio.run(main()) == "still there"


def test_ingesting_by_the_runs_model_may_take_longer() -> None:
    async def ingest() -> str:
        await asyncio.sleep(0.05)
        return "done"

    async def retrieve() -> None:
        await asyncio.sleep(5)

    async def main() -> None:
        calls = MemoryCalls("a", 0.01, asks_model=True)
        assert await calls.call(ingest) == "done"
        with pytest.raises(MemoryTimeout):
            await calls.call(retrieve)
        with pytest.raises(MemoryTimeout):
            await MemoryCalls("b", 0.01).call(ingest)

    asyncio.run(main())


class _LengthEmbedder:
    """`waits`: like a model at an endpoint, it needs the event loop."""

    name, dimensions = "length", 1

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits

    async def embed(self, texts: list[str]) -> Vectors:
        import numpy as np

        if self._waits:
            await asyncio.sleep(0)
        return np.array([[len(text)] for text in texts], np.float32)


async def _elsewhere(embed: Callable[[], Vectors]) -> Vectors:
    return await asyncio.to_thread(embed)


@pytest.mark.parametrize("waits", [False, True])
def test_texts_can_be_embedded_from_any_thread(waits: bool, tmp_path: Path) -> None:
    async def main() -> float:
        services = Services(_LengthEmbedder(waits=waits), None, tmp_path, None, asyncio.get_running_loop())  # type: ignore[arg-type]
        return float((await _elsewhere(lambda: services.embed(["four"])))[0, 0])

    assert asyncio.run(main()) == 4


def test_in_an_async_method_only_an_embedder_that_waits_for_nothing_can_be_called_without_await(tmp_path: Path) -> None:
    async def main(waits: bool) -> float:
        services = Services(_LengthEmbedder(waits=waits), None, tmp_path, None, asyncio.get_running_loop())  # type: ignore[arg-type]
        return float(services.embed(["four"])[0, 0])

    assert asyncio.run(main(False)) == 4
    with pytest.raises(RuntimeError, match="use: await services"):
        asyncio.run(main(True))
