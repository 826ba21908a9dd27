"""Runs checks in a process of their own, which is ended if a step hangs, and started again if a step ends it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from engram_eval.conformance.check import Outcome
from engram_eval.conformance.checks import ALL_CHECKS
from engram_eval.conformance.processes import child_processes, end_processes
from engram_eval.conformance.trial import hung
from engram_eval.errors import UserError
from engram_eval.run.settings import parse_options

GRACE_S = 5.0  # the process itself ends a step that only waits; this one ends a step that blocks the whole process
START_S = 60.0  # until the process has imported this package
TIMEOUT_S = 60.0
_FIRST = "opens"
_WITHOUT_OPENING = (_FIRST, "settings", "signatures", "offline")


class Supervisor:
    """`options`: as `--set` takes them. `timeout_s`: seconds for each step. `online`: connections are allowed.

    `model`, `base_url`: for a backend that asks a model. Its answers are cached, so most checks cost nothing after the first.
    `show_output`: what the memory prints goes to stderr; otherwise only the last line is shown, after a crash.
    """

    def __init__(
        self,
        backend: str,
        *,
        options: Sequence[str] = (),
        timeout_s: float = TIMEOUT_S,
        online: bool = False,
        model: str | None = None,
        base_url: str | None = None,
        show_output: bool = False,
    ) -> None:
        settings = {"backends": [backend], "options": parse_options(options), "model": model, "base_url": base_url}
        self._arguments = {"settings": settings, "limit_s": timeout_s, "online": online}
        self._folder: Path | None = None  # of all workers, made with the first of them
        self._remove_folder: Callable[[], object] | None = None
        self._timeout_s = timeout_s
        self._show_output = show_output
        self._worker: _Worker | None = None
        self._workers = 0
        self._does_not_open = False

    def outcomes(self, names: Collection[str] = ()) -> Iterator[Outcome]:
        """Each check as it is made; all of them without names. Raises UserError for an unknown name or backend."""
        _require_known(names)
        for check in ALL_CHECKS:
            if not names or check.name in names:
                yield self.outcome(check.name)

    def outcome(self, name: str) -> Outcome:
        """What comes of one check. Raises UserError if the backend cannot be made.

        After `opens` has failed, only checks that say why are made: each of the others would fail, or hang, in the same way.
        """
        if self._does_not_open and name not in _WITHOUT_OPENING:
            return Outcome(name, "not applicable", "the memory does not open, ingest and retrieve; see 'opens'")
        check = next(check for check in ALL_CHECKS if check.name == name)
        outcome = self._outcome(name)
        for _ in range(check.processes - 1):
            if outcome.result == "holds":
                self._end_worker()
                outcome = self._outcome(name)
        self._does_not_open |= (outcome.name, outcome.result) == (_FIRST, "FAILS")
        return outcome

    def _outcome(self, name: str) -> Outcome:
        if self._worker is None:
            self._worker = self._start()
        worker, step = self._worker, "starting"
        worker.ask(name)
        while True:
            try:
                message = worker.messages.get(timeout=START_S if step == "starting" else self._timeout_s + GRACE_S)
            except queue.Empty:
                self._end_worker()
                return Outcome(name, "FAILS", hung(step, self._timeout_s))
            if message is None:
                text = f"{step} ended the whole process ({worker.ending()}); raise an error instead, so that a run can continue"
                self._end_worker()
                return Outcome(name, "FAILS", text)
            if "error" in message:
                raise UserError(message["error"])
            if "step" in message:
                step = message["step"]
            else:
                return Outcome(**message)

    def _start(self) -> _Worker:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="engram_eval-"))
            self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._workers += 1
        return _Worker({**self._arguments, "folder": str(self._folder)}, self._workers, show_output=self._show_output)

    def close(self) -> None:
        self._end_worker()
        if self._remove_folder:
            self._remove_folder()

    def _end_worker(self) -> None:
        if self._worker:
            self._worker.close()
            self._worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _require_known(names: Collection[str]) -> None:
    known = [check.name for check in ALL_CHECKS]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"there is no check {unknown[0]!r}; the checks are {', '.join(known)}")


class _Worker:
    """The process. `messages`: what it writes; None when it has ended.

    `number`: seeds the order of its sets, so that two processes differ, and do so each time.
    """

    def __init__(self, arguments: Mapping[str, Any], number: int, *, show_output: bool) -> None:
        self._log: IO[bytes] | None = None if show_output else tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
                "PYTHONHASHSEED": str(number),
            },
            start_new_session=True,
        )
        self.messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(self._process.stdout, self.messages), daemon=True)
        reader.start()
        self.close = weakref.finalize(self, _end, self._process, reader, self._log)  # also when the program ends

    def ask(self, check: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, as `messages` tells
            self._process.stdin.write(check + "\n")
            self._process.stdin.flush()

    def ending(self) -> str:
        """How the process ended, and the last line that it printed."""
        code = self._process.wait()
        with contextlib.suppress(ValueError):
            return self._with_last_line(signal.Signals(-code).name if code < 0 else f"exit code {code}")
        return f"signal {-code}"

    def _with_last_line(self, how: str) -> str:
        if self._log is None:
            return how
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"{how}; it printed {last[:200]!r}" if last else how


def _read(lines: IO[str], messages: queue.Queue[dict[str, Any] | None]) -> None:
    for line in lines:
        messages.put(json.loads(line))
    messages.put(None)


def _end(process: subprocess.Popen[str], reader: threading.Thread, log: IO[bytes] | None) -> None:
    """Ends the process and all that it has started, also what has left its group."""
    children = set(child_processes(process.pid))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    end_processes(children)
    process.wait()
    reader.join(GRACE_S)
    for stream in (process.stdin, process.stdout, log):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()


@dataclass(frozen=True, slots=True)
class BackendCheck:
    """One check of one backend, for a test: call it. As text it is the check's name."""

    name: str
    supervisor: Supervisor

    def __call__(self) -> None:
        """Raises AssertionError with one sentence if the check fails, and SkipTest if it does not apply."""
        __tracebackhide__ = True  # pytest then shows the author's test and the sentence
        outcome = self.supervisor.outcome(self.name)
        if outcome.result == "not applicable":
            raise unittest.SkipTest(outcome.text)
        assert outcome.result == "holds", outcome.text

    def __str__(self) -> str:
        return self.name


def checks_of(
    backend: str,
    *,
    options: Sequence[str] = (),
    timeout_s: float = TIMEOUT_S,
    online: bool = False,
    model: str | None = None,
    base_url: str | None = None,
    without: Collection[str] = (),
) -> list[BackendCheck]:
    """All checks of a backend (`NAME`, `NAME:PRESET` or `package.module:Class`), to parametrize a test with.

    They share a process, which starts when the first of them is called. `without`: names of checks to leave out.
    """
    _require_known(without)
    supervisor = Supervisor(
        backend, options=options, timeout_s=timeout_s, online=online, model=model, base_url=base_url
    )
    return [BackendCheck(check.name, supervisor) for check in ALL_CHECKS if check.name not in without]
