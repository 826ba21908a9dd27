"""A real HTTP server on the loopback that answers as a test specifies, and records the requests."""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Lock, Thread
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Step:
    """One answer. `declared`: a false Content-Length. `dropped`: no answer, the connection is cut."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    declared: int | None = None
    dropped: bool = False
    before: Callable[[], object] | None = None


def says(text: str | None, *, finish: str = "stop", prompt: int = 10, completion: int = 5, **message: Any) -> Step:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    return sends({"choices": [choice], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})


def sends(body: Any, status: int = 200, **headers: str) -> Step:
    return Step(status, json.dumps(body).encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def refuses(
    status: int, message: str = "no", *, param: str | None = None, code: str | None = None, **headers: str
) -> Step:
    return sends({"error": {"message": message, "type": "error", "param": param, "code": code}}, status, **headers)


DROPS = Step(dropped=True)
NOT_JSON = Step(body=b"upstream connect error")
TRUNCATED = Step(body=says("cut").body[:40], declared=400)

Answer = Callable[[dict[str, Any]], Step]


@dataclass(frozen=True)
class Asked:
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


class Server:
    """`script` answers the first requests. After them, `answer` decides by the request's body.

    `says_of_itself`: what the server answers to GET, by path; it knows no other.
    """

    def __init__(
        self, *script: Step, answer: Answer | None = None, says_of_itself: Mapping[str, Step] | None = None
    ) -> None:
        self.script = deque(script)
        self.says_of_itself = says_of_itself or {}
        self.looked_up: list[Asked] = []
        self.answer: Answer = answer or (lambda _: says("fine"))
        self.asked: list[Asked] = []
        self.answered = 0
        self.at_once = self.most_at_once = 0
        self.connections: set[socket.socket] = set()
        self._lock = Lock()
        self._server = _Http(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Server:
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            for connection in list(self.connections):  # clients keep them alive, and they would still be served
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def enter(self, asked: Asked) -> Step:
        with self._lock:
            self.asked.append(asked)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            return self.script.popleft() if self.script else self.answer(asked.body)

    def leave(self, step: Step) -> None:
        with self._lock:
            self.at_once -= 1
            self.answered += step.status == 200 and not step.dropped


class _Http(ThreadingHTTPServer):
    owner: Server
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None: ...  # tests include clients that disconnect


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def setup(self) -> None:
        super().setup()
        self.server.owner.connections.add(self.connection)

    def finish(self) -> None:
        self.server.owner.connections.discard(self.connection)
        super().finish()

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def do_GET(self) -> None:
        self.server.owner.looked_up.append(self._asked({}))
        step = self.server.owner.says_of_itself.get(self.path, refuses(404, "no such path"))
        if step.before:
            step.before()
        self._send(step)

    def _serve(self, body: dict[str, Any]) -> None:
        step = self.server.owner.enter(self._asked(body))
        try:
            if step.before:
                step.before()
        finally:
            self.server.owner.leave(step)
        self._send(step)

    def _asked(self, body: dict[str, Any]) -> Asked:
        return Asked(self.path, body, {name.lower(): value for name, value in self.headers.items()})

    def _send(self, step: Step) -> None:
        if step.dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        length = len(step.body) if step.declared is None else step.declared
        headers = {"content-type": "application/json", "content-length": str(length), **step.headers}
        head = f"HTTP/1.1 {step.status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        self.wfile.write(head.encode() + step.body)
        if step.declared is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None: ...


def together(parties: int) -> Callable[[], object]:
    """For `before`: answers wait until this many requests have arrived, for at most five seconds."""
    return Barrier(parties, timeout=5).wait
