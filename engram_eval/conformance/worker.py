"""The process in which a memory is tried: reads names of checks from stdin, and writes what comes of them as JSON lines.

    {"step": "ingest"}                                      before each step
    {"name": …, "result": …, "text": …}                     after each check
    {"error": …}                                            the backend cannot be made

Lines go to the first stdout; what the memory prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from engram_eval.backends.backend import MemoryBackend, backend_info
from engram_eval.conformance.attempt import attempt
from engram_eval.conformance.checks import ALL_CHECKS
from engram_eval.conformance.network import NetworkGuard
from engram_eval.errors import UserError
from engram_eval.run.extensions import Extensions, Opener
from engram_eval.run.settings import Settings


def main(label: str, options: dict[str, str], limit_s: float, online: bool, folder: str) -> None:
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    checks = {check.name: check for check in ALL_CHECKS}
    for line in sys.stdin:
        try:
            _send(messages, step="making the backend")
            with NetworkGuard().closed():
                backend = make_backend(label, options)
        except UserError as error:
            _send(messages, error=str(error))
            continue
        outcome = attempt(
            checks[line.strip()],
            backend,
            limit_s=limit_s,
            online=online,
            announce=lambda step: _send(messages, step=step),
            shared=Path(folder),
        )
        _send(messages, **asdict(outcome))


def make_backend(label: str, options: dict[str, str]) -> MemoryBackend:
    """A new backend as a run makes it. Raises UserError."""
    opener = Opener(Settings(backends=(label,), controls=False, options=options), Extensions())
    opener.refuse_unknown_options()
    backend = opener.backends()[label]
    if backend_info(backend).asks_model:
        raise UserError(
            f"backend {label!r} asks a model, and try-backend has none; try it with settings that need no model"
        )
    return backend


def _send(messages: TextIO, **message: str) -> None:
    messages.write(json.dumps(message) + "\n")
    messages.flush()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
