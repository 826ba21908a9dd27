"""Ctrl-C while a command waits for answers of a model."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from tests.llm.server import Server, Step


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds, or after a minute: what follows then fails with what was observed."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


def interrupt_three_calls(command: Sequence[str], server: Server, env: Mapping[str, str] | None = None) -> str:
    """Runs the command, presses Ctrl-C while the server holds back three answers, then lets them go. Returns its stderr."""
    model, interrupted = server.answer, Event()

    def holds_back(body: dict[str, Any]) -> Step:
        return replace(model(body), before=lambda: interrupted.wait(20))

    server.answer = holds_back
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    wait_until(lambda: server.at_once == 3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    interrupted.set()
    _, err = process.communicate(timeout=60)
    server.answer = model
    assert process.returncode == 130, err
    return err.decode()
