"""Checks quickly whether a host can be reached, so that nothing hangs without a network."""

from __future__ import annotations

import os
import socket
from threading import Thread
from urllib.parse import urlsplit

from engram_eval.errors import UserError

_CONNECT_SECONDS = 3.0


def require_network(url: str, *, instead: str) -> None:
    """Raises UserError, within seconds, if the host of `url` cannot be reached; `instead` says what to do then.

    If there is a proxy, the proxy is tried and not the host.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise UserError(f"{url} is not fetched because HF_HUB_OFFLINE is set; {instead}")
    proxy = next((os.environ[name] for name in ("https_proxy", "HTTPS_PROXY") if os.environ.get(name)), None)
    target = urlsplit(proxy or url)
    host, port = target.hostname or "", target.port or (443 if target.scheme == "https" else 80)
    outcome: list[str] = []
    # In a thread, because looking up a name has no timeout: with a dead name server it can take half a minute.
    attempt = Thread(target=lambda: outcome.append(connection_failure(host, port)), daemon=True)
    attempt.start()
    attempt.join(_CONNECT_SECONDS)
    reason = outcome[0] if outcome else f"no answer within {_CONNECT_SECONDS:.0f} s"
    if reason:
        raise UserError(f"{host} cannot be reached ({reason}); {instead}")


def connection_failure(host: str, port: int) -> str:
    """Empty if a connection can be made, else the reason. It may block for as long as the name server takes."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: a label of the host's name is too long
        return getattr(error, "strerror", None) or str(error)
    return ""
