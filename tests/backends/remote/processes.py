"""Whether processes live, and a memory elsewhere that a test talks to."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from engram_eval.backends.backend import Services
from engram_eval.backends.remote.memory import RemoteMemory
from engram_eval.run.addresses import reach, with_settings
from engram_eval.types import Conversation
from tests.run.interrupting import wait_until

T = TypeVar("T")


def is_alive(pid_file: Path) -> bool:
    """Whether the process lives whose id the file holds; one that waits to be reaped does not."""
    pid = int(pid_file.read_text())
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def has_ended(pid_file: Path) -> bool:
    wait_until(lambda: not is_alive(pid_file))
    return not is_alive(pid_file)


def talk(
    address: str,
    services: Services,
    conversation: Conversation,
    then: Callable[[RemoteMemory], Awaitable[T]],
    **settings: str,
) -> T:
    """Opens a memory, ingests the conversation, and returns what `then` makes of it."""
    backend = with_settings("elsewhere", reach(address, 60), settings)

    async def run() -> T:
        memory = await backend.open(conversation.info, services)
        try:
            for session in conversation.sessions:
                await memory.ingest(session)
            await memory.ready()
            return await then(memory)
        finally:
            with contextlib.suppress(Exception):
                await memory.close()

    return asyncio.run(run())


async def first_hit(memory: RemoteMemory) -> object:
    return await memory.retrieve("Who?", asked_at=None, budget=100)
