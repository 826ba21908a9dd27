"""Is there a network? Found out at once, so that nothing hangs where there is none."""

from __future__ import annotations

import os
import socket
from threading import Thread
from urllib.parse import urlsplit

from engram_eval.errors import UserError

_CONNECT_SECONDS = 3.0


def require_network(url: str, *, instead: str) -> None:
    """Raises UserError, within seconds, if the host of `url` cannot be reached; `instead` says what to do then.

    Behind a proxy the host cannot be tried directly: the proxy is tried in its place.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise UserError(f"{url} is not fetched because HF_HUB_OFFLINE is set; {instead}")
    proxy = next((os.environ[name] for name in ("https_proxy", "HTTPS_PROXY") if os.environ.get(name)), None)
    target = urlsplit(proxy or url)
    host, port = target.hostname or "", target.port or (443 if target.scheme == "https" else 80)
    outcome: list[str] = []
    # In a thread, because looking a name up knows no timeout: with a dead name server it can take half a minute.
    attempt = Thread(target=lambda: outcome.append(_connect(host, port)), daemon=True)
    attempt.start()
    attempt.join(_CONNECT_SECONDS)
    fault = outcome[0] if outcome else f"no answer within {_CONNECT_SECONDS:.0f} s"
    if fault:
        raise UserError(f"{host} cannot be reached ({fault}); {instead}")


def _connect(host: str, port: int) -> str:
    """Empty if a connection can be made, else why not."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
