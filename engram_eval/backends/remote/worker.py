"""A memory in a process of its own, such as another Python: one message a line on its stdin, one reply a line on its stdout.

    {"id": 3, "message": "retrieve", "query": "…", "asked_at": null, "budget": 916}
    {"id": 3, "hits": [{"text": "…", "turn_ids": ["D1:3"], "score": 0.7, "date": "2023-05-08"}]}

A reply has the message's `id`, and either the fields of the reply or an `error`. There is one process for each conversation.
What it writes to stderr goes to `worker.log` in the memory's folder, and its last lines into the error if it fails. A process
that ends, or that sends anything but the reply, is killed with its process group.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
from asyncio.subprocess import SubprocessStreamProtocol
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel, ConfigDict

from engram_eval.backends.backend import Services
from engram_eval.backends.remote.protocol import (
    LONGEST_REPLY,
    Info,
    InfoRequest,
    RemoteError,
    Reply,
    Request,
    failure,
    parse_reply,
    shown,
)
from engram_eval.errors import UserError

SCHEME = "worker:"
EXAMPLE = 'worker:"python my_worker.py"'
_GUARD = Path(__file__).with_name("guard.py")
_HELPER = Path(__file__).with_name("helper")
"""The folder of `engram_eval_worker`, which every Python worker can import, and of nothing else."""
_EXIT_S = 2.0  # for a worker to end by itself after it was closed
_LOG_LINES, _LOG_BYTES = 3, 4000


class WorkerDoor:
    """Starts the command for each conversation. `address`: `worker:COMMAND`. Raises UserError if there is no such program."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self._command = shlex.split(address.removeprefix(SCHEME))
        except ValueError as error:
            raise UserError(f"backend {address!r}: not a command ({error}); correct its quotes") from None
        if not self._command:
            raise UserError("backend 'worker:' names no command; as in --backend worker:\"python my_worker.py\"")
        if sys.platform == "win32":
            raise UserError(
                f"backend {address!r}: workers need process groups, which Windows lacks; use a server (http://…)"
            )
        if shutil.which(self._command[0]) is None:
            raise UserError(
                f"backend {address!r}: there is no program {self._command[0]!r}; correct it, as in {EXAMPLE}"
            )
        self.label = SCHEME + _script_name(self._command)

    async def info(self) -> Info:
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            worker = await _Worker.start(self._command, Path(folder))
            try:
                return await worker.call(InfoRequest(), Info)
            finally:
                await worker.close()

    async def connect(self, services: Services) -> _Worker:
        return await _Worker.start(self._command, services.folder)


def _script_name(command: list[str]) -> str:
    """`my_worker` of `/path/python -u my_worker.py --fast`, and of `./my_worker`."""
    script = Path(next((part for part in command[1:] if not part.startswith("-")), command[0]))
    return script.stem if script.suffix in (".py", ".js", ".mjs", ".ts", ".rb", ".sh") else script.name


class _ReplyId(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    id: int


class _Streams(SubprocessStreamProtocol):
    """The worker's stdin and stdout. `exited` is done when it has ended, even if another process holds them open."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=LONGEST_REPLY, loop=loop)
        self.exited: asyncio.Future[None] = loop.create_future()

    def process_exited(self) -> None:
        super().process_exited()
        if not self.exited.done():
            self.exited.set_result(None)


class _Worker:
    """The process of one conversation."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Streams, pipe: int, folder: Path) -> None:
        self._transport, self._streams, self._pipe = transport, protocol, pipe
        self._log = folder / "worker.log"
        self._messages = 0
        self._end = ""  # why it no longer answers
        self.folder: str | None = str(folder / "files")

    @classmethod
    async def start(cls, command: list[str], folder: Path) -> _Worker:
        """Starts the process, with an empty folder for its files below `folder`."""
        folder = folder.absolute()
        (folder / "files").mkdir(exist_ok=True)
        loop = asyncio.get_running_loop()
        guards_end, pipe = os.pipe()
        try:
            with (folder / "worker.log").open("wb") as log:
                transport, protocol = await loop.subprocess_exec(
                    lambda: _Streams(loop),
                    *(sys.executable, "-I", "-S", str(_GUARD), str(guards_end), *command),
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                    pass_fds=(guards_end,), start_new_session=True, env=_environment(),
                )  # fmt: skip
        except BaseException:
            os.close(pipe)
            raise
        finally:
            os.close(guards_end)
        return cls(transport, protocol, pipe, folder)

    async def call(self, request: Request, kind: type[Reply]) -> Reply:
        if self._end:
            raise RemoteError(self._end)
        try:
            line = await self._exchange(request)
        except RemoteError as error:
            self._stop(f"the worker was stopped earlier: {error}")
            raise
        except BaseException:  # a time limit, or Ctrl-C: a reply that came later would be taken for the next one's
            self._stop(f"the worker was stopped earlier: it had not answered '{request.name}' in time")
            raise
        if reason := failure(line):
            raise RemoteError(reason)
        try:
            return parse_reply(kind, line, f"the worker's reply to '{request.name}'")
        except RemoteError as error:
            raise RemoteError(f"{error}{self._last_words()}") from None

    async def _exchange(self, request: Request) -> bytes:
        """The line that answers the request."""
        self._messages += 1
        fields = json.loads(request.model_dump_json())
        message = {"id": self._messages, "message": request.name, **fields}
        talk = asyncio.ensure_future(self._talk(json.dumps(message).encode() + b"\n"))
        try:
            both: list[asyncio.Future[Any]] = [talk, self._streams.exited]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not talk.done():
                self._kill()  # what it started may hold its output open
                await asyncio.wait([talk], timeout=_EXIT_S)
                if not talk.done():
                    raise RemoteError(await self._how_it_ended(request.name, b""))
            line = await talk
        except asyncio.LimitOverrunError:
            raise RemoteError(
                f"the worker sent a line of more than {LONGEST_REPLY:,} bytes{self._last_words()}"
            ) from None
        except (asyncio.IncompleteReadError, OSError) as error:
            part = error.partial if isinstance(error, asyncio.IncompleteReadError) else b""
            raise RemoteError(await self._how_it_ended(request.name, part)) from None
        finally:
            talk.cancel()
        try:
            answered = parse_reply_id(line)
        except RemoteError:
            raise RemoteError(
                f"the worker printed {shown(line)}, which is no reply; print to stderr instead (in Python, import "
                f"engram_eval_worker first){self._last_words()}"
            ) from None
        if answered != self._messages:
            raise RemoteError(f"the worker answered message {answered} when it was sent message {self._messages}")
        return line

    async def _talk(self, message: bytes) -> bytes:
        stdin, stdout = self._streams.stdin, self._streams.stdout
        assert stdin is not None
        assert stdout is not None
        with contextlib.suppress(ConnectionError):  # it has ended: what it said before is read, or its end
            stdin.write(message)
            await stdin.drain()
        return await stdout.readuntil(b"\n")

    async def _how_it_ended(self, request: str, part: bytes) -> str:
        await asyncio.wait([self._streams.exited], timeout=_EXIT_S)
        code = self._transport.get_returncode()
        end = "closed its output" if code is None else _exit_in_words(code)
        self._kill()
        middle = f" in the middle of a line, {shown(part)}" if part else ""
        return f"the worker {end}{middle} before it answered '{request}'{self._last_words()}"

    def _last_words(self) -> str:
        """The end of its stderr."""
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - _LOG_BYTES))
            lines = [line for line in log.read().splitlines() if line.strip()]
            if lines:
                return "; its stderr ends in " + " / ".join(shown(line, quoted=False) for line in lines[-_LOG_LINES:])
        return ""

    def _stop(self, reason: str) -> None:
        self._end = self._end or reason
        self._kill()

    def _kill(self) -> None:
        """Kills the process and all that it started, but what has left its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), signal.SIGKILL)

    async def close(self) -> None:
        """Waits a moment for a worker that was closed to end, and kills what is left."""
        if self._pipe < 0:
            return
        assert self._streams.stdin is not None
        self._streams.stdin.close()
        try:
            if not self._end:
                await asyncio.wait([self._streams.exited], timeout=_EXIT_S)
        finally:
            self._stop("the worker is closed")
            pipe, self._pipe = self._pipe, -1
            os.close(pipe)
            await asyncio.shield(self._streams.exited)
            self._transport.close()
            await asyncio.sleep(0)  # in which the ends of the pipes are closed


def parse_reply_id(line: bytes) -> int:
    """The `id` of a reply. Raises RemoteError if the line is no JSON object with one."""
    try:
        return _ReplyId.model_validate_json(line).id
    except ValueError:
        raise RemoteError("no reply") from None


def _exit_in_words(code: int) -> str:
    """128 and more is a signal, as in a shell; negative is a signal to the guard itself."""
    number = -code if code < 0 else code - 128
    names = {int(each): each.name for each in signal.Signals}
    return f"was killed by {names[number]}" if number in names else f"ended with exit code {code}"


def _environment() -> dict[str, str]:
    """The run's environment without the variables that make another Python import this one's packages."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**inherited, "PYTHONPATH": str(_HELPER), "PYTHONUNBUFFERED": "1", "ENGRAM_EVAL_WORKER": "1"}
