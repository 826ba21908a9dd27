"""Refuses connections beyond this machine, and remembers what was tried.

It sees what goes through Python's sockets. Libraries with network code of their own, and child processes, pass by it.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

_METHODS = ("connect", "connect_ex", "sendto")
_LOOK_UPS = ("getaddrinfo", "gethostbyname")


@dataclass(slots=True)
class NetworkGuard:
    """`allowed`: hosts that are not refused. `tried`: the others that were looked up or connected to, in order."""

    allowed: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Around work that must not reach beyond this machine."""
        with contextlib.ExitStack() as patches:
            for name in _METHODS:
                guarded = self._guarded_method(getattr(socket.socket, name))
                patches.enter_context(patch.object(socket.socket, name, guarded))
            for name in _LOOK_UPS:
                guarded = self._guarded_look_up(getattr(socket, name))
                patches.enter_context(patch.object(socket, name, guarded))
            yield

    def _guarded_method(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(sock: socket.socket, *arguments: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                host, port = arguments[-1][:2]
                self._refuse_beyond_loopback(host, port)
            return method(sock, *arguments)

        return guarded

    def _guarded_look_up(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
            self._refuse_beyond_loopback(host, arguments[0] if arguments else options.get("port"))
            result = function(host, *arguments, **options)
            self._allow_addresses(result)
            return result

        return guarded

    def _allow_addresses(self, result: Any) -> None:
        """Those of a name that is allowed, to which a connection is made next."""
        self.allowed.update([result] if isinstance(result, str) else [entry[4][0] for entry in result])

    def _refuse_beyond_loopback(self, host: Any, port: Any) -> None:
        name = host.decode(errors="replace") if isinstance(host, bytes) else host
        if (
            name in self.allowed
            or not name
            or name in ("localhost", "0.0.0.0", "::", "::1", socket.gethostname())
            or name.startswith("127.")
        ):
            return
        address = f"{name}:{port}" if port else str(name)
        if address not in self.tried:
            self.tried.append(address)
        raise OSError(errno.ENETUNREACH, f"try-backend refused the connection to {address}, which --online would allow")
