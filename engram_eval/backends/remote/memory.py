"""A memory elsewhere as a backend: the methods that a run calls become messages, whatever way they travel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from engram_eval.backends.backend import ContextLimit, Retrieval, Services
from engram_eval.backends.remote.protocol import (
    CloseRequest,
    Done,
    Info,
    IngestRequest,
    OpenRequest,
    Readiness,
    ReadyRequest,
    Reply,
    Request,
    Retrieved,
    RetrieveRequest,
)
from engram_eval.registry import SettingValue
from engram_eval.types import ConversationInfo, Session

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 2.0  # between two times that a memory is asked whether it is ready
_CLOSE_S = 10.0  # to close in good order; nothing that is measured depends on it


class Connection(Protocol):
    """The way to the memory of one conversation."""

    folder: str | None
    """A folder for the memory's files, if it is on this machine."""

    async def call(self, request: Request, kind: type[Reply]) -> Reply:
        """Sends a message and returns the reply. Raises RemoteError. One message at a time."""
        ...

    async def close(self) -> None:
        """Ends the connection, and whatever was started for it, without a further message."""
        ...


class Door(Protocol):
    """A way to reach a memory elsewhere. `address`: what the user named, as the manifest records it."""

    address: str
    label: str
    """The memory's name in tables, unless it tells another."""

    async def info(self) -> Info:
        """What the memory says of itself. Raises RemoteError, or UserError if there is nothing at the address."""
        ...

    async def connect(self, services: Services) -> Connection: ...


@dataclass(frozen=True, slots=True)
class RemoteBackend:
    """A memory elsewhere, with the settings that are passed on to it."""

    door: Door
    info: Info
    settings: Mapping[str, SettingValue]

    @property
    def context_limit(self) -> ContextLimit:
        return self.info.context_limit

    @property
    def paraphrases(self) -> bool:
        return self.info.paraphrases

    async def open(self, conversation: ConversationInfo, services: Services) -> RemoteMemory:
        connection = await self.door.connect(services)
        try:
            request = OpenRequest(conversation=conversation, settings=dict(self.settings), folder=connection.folder)
            return RemoteMemory(connection, await connection.call(request, Done))
        except BaseException:
            await connection.close()
            raise


class RemoteMemory:
    """The memory of one conversation. A call that is given up ends the connection: its reply may still come."""

    def __init__(self, connection: Connection, opened: Done) -> None:
        self._connection = connection
        self.warnings = list(opened.warnings)

    async def ingest(self, session: Session) -> None:
        async with self._ends_if_given_up():
            done = await self._connection.call(IngestRequest(session=session), Done)
        self.warnings += done.warnings

    async def ready(self) -> None:
        pause = _FIRST_PAUSE_S
        async with self._ends_if_given_up():
            while True:
                readiness = await self._connection.call(ReadyRequest(), Readiness)
                self.warnings += readiness.warnings
                if readiness.ready:
                    return
                await asyncio.sleep(pause)
                pause = min(1.5 * pause, _LONGEST_PAUSE_S)

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Retrieval:
        date = asked_at.isoformat() if asked_at else None
        request = RetrieveRequest(query=query, asked_at=date, budget=budget)
        async with self._ends_if_given_up():
            return (await self._connection.call(request, Retrieved)).result()

    async def close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._connection.call(CloseRequest(), Done)
        finally:
            await self._connection.close()

    @contextlib.asynccontextmanager
    async def _ends_if_given_up(self) -> AsyncIterator[None]:
        """After a time limit, the run calls the memory no more, not even to close it."""
        try:
            yield
        except asyncio.CancelledError:
            await self._connection.close()
            raise
