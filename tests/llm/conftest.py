from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from engram_eval.llm import LLM, Clock, Completion, LLMSettings

T = TypeVar("T")
KEY = "sk-test-4f9a1c77e2b84d0c"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


class FakeTime:
    """Time that passes only by sleeping, and not while a request is `on_its_way`. Every random number is one half."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.on_its_way = 0
        self.slept: list[float] = []
        self.clock = Clock(lambda: self.now, lambda: 1_700_000_000.0 + self.now, self._sleep, lambda: 0.5)

    async def _sleep(self, seconds: float) -> None:
        while self.on_its_way:
            await asyncio.sleep(0.001)
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


class Client:
    """Runs a coroutine with a new client on the test's cache, then closes the client."""

    def __init__(self, folder: Path, time: FakeTime) -> None:
        self.folder, self.time = folder, time

    def run(self, url: str, work: Callable[[LLM], Coroutine[Any, Any, T]], **settings: Any) -> T:
        async def main() -> T:
            llm = LLM(LLMSettings(base_url=url, **settings), self.folder, clock=self.time.clock)
            try:
                return await work(llm)
            finally:
                await llm.close()

        return asyncio.run(main())

    def chat(self, url: str, text: str = "hi", *, settings: dict[str, Any] | None = None, **call: Any) -> Completion:
        return self.run(url, lambda llm: chat(llm, text, **call), **(settings or {}))


async def chat(llm: LLM, text: str = "hi", **call: Any) -> Completion:
    call = {"role": "reader", "model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **call}
    return await llm.chat(**call)


@pytest.fixture
def client(tmp_path: Path, fake_time: FakeTime) -> Client:
    return Client(tmp_path / "cache", fake_time)
