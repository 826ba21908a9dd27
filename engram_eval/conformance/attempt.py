"""Runs one check in this process."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from engram_eval import registry
from engram_eval.backends.backend import MemoryBackend
from engram_eval.conformance.check import Check, Outcome
from engram_eval.conformance.failed import Failed, NotApplicable
from engram_eval.conformance.network import NetworkGuard
from engram_eval.conformance.trial import Trial
from engram_eval.language.tokens import token_counter
from engram_eval.run.models import ModelClients
from engram_eval.system.event_loop import run_to_end


def attempt(
    check: Check,
    backend: MemoryBackend,
    *,
    limit_s: float,
    online: bool = False,
    clients: ModelClients | None = None,
    announce: Callable[[str], None] = lambda _step: None,
    shared: Path | None = None,
) -> Outcome:
    """What comes of a check. `shared`: a folder that other processes of the same trial use too.

    `clients`: of the model that the backend asks, if it asks one; they are closed at the end.
    A method that blocks the event loop without end also blocks this function.
    """
    guard = None if online else NetworkGuard(hosts_of(clients))
    embedder = registry.make("embedders", "static")
    with (
        tempfile.TemporaryDirectory(prefix="engram_eval-", dir=shared, ignore_cleanup_errors=True) as folder,
        guard.closed() if guard else contextlib.nullcontext(),
    ):
        llm = clients.memory_llm() if clients else None
        trial = Trial(backend, embedder, token_counter(), Path(folder), limit_s, llm, announce, guard, shared)
        try:
            run_to_end(_made(check, trial, clients))
        except NotApplicable as reason:
            return Outcome(check.name, "not applicable", str(reason))
        except Failed as failure:
            return Outcome(check.name, "FAILS", str(failure))
    return Outcome(check.name, "holds", check.sentence)


async def _made(check: Check, trial: Trial, clients: ModelClients | None) -> None:
    try:
        await check.function(trial)
    finally:
        if clients:
            await clients.close()


def hosts_of(clients: ModelClients | None) -> set[str]:
    """The host of the model that memories ask."""
    return {urlsplit(clients.endpoint("router")).hostname or ""} if clients else set()
