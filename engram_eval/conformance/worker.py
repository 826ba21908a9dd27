"""The process in which a memory is tried: reads names of checks from stdin, and writes what comes of them as JSON lines.

    {"step": "ingest"}                                      before each step
    {"name": …, "result": …, "text": …}                     after each check
    {"error": …}                                            the backend cannot be made

Lines go to the first stdout; what the memory prints goes to stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from engram_eval.backends.backend import MemoryBackend, backend_info
from engram_eval.conformance.attempt import attempt
from engram_eval.conformance.checks import ALL_CHECKS
from engram_eval.conformance.network import NetworkGuard
from engram_eval.errors import UserError
from engram_eval.run.extensions import Extensions, Opener
from engram_eval.run.models import ModelClients
from engram_eval.run.settings import Settings


def main(settings: dict[str, Any], limit_s: float, online: bool, folder: str) -> None:
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    checks = {check.name: check for check in ALL_CHECKS}
    for line in sys.stdin:
        try:
            _send(messages, step="making the backend")
            with contextlib.nullcontext() if online else NetworkGuard().closed():
                backend, clients = _made(Settings(**settings, controls=False))
        except UserError as error:
            _send(messages, error=str(error))
            continue
        outcome = attempt(
            checks[line.strip()],
            backend,
            limit_s=limit_s,
            online=online,
            clients=clients,
            announce=lambda step: _send(messages, step=step),
            shared=Path(folder),
        )
        _send(messages, **asdict(outcome))


def _made(settings: Settings) -> tuple[MemoryBackend, ModelClients | None]:
    """A new backend as a run makes it, and the clients of its model if it asks one. Raises UserError."""
    opener = Opener(settings, Extensions())
    (backend,) = opener.backends().values()
    opener.refuse_unknown_options()
    if not backend_info(backend).asks_model:
        return backend, None
    if settings.model is None:
        raise UserError(
            f"backend {settings.backends[0]!r} asks a model; name one with --model, and its server with --base-url"
        )
    clients = ModelClients(settings)
    clients.memory_llm()  # raises UserError if there is no key
    return backend, clients


def _send(messages: TextIO, **message: str) -> None:
    messages.write(json.dumps(message) + "\n")
    messages.flush()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
