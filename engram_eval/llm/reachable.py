"""Checks within seconds whether there is a server at an address, even if the name server is dead."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from engram_eval.system.network import connection_failure

_CONNECT_S = 3.0


def proxy_of(url: str) -> str:
    """The proxy that the environment names for this address; empty for none."""
    target = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(target.hostname or ""):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


async def why_unreachable(url: str) -> str:
    """Empty if the host accepts connections, else the reason. If there is a proxy for the host, the proxy is tried."""
    target = urlsplit(proxy_of(url) or url)
    host, port = target.hostname or "", target.port or (443 if target.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[str] = loop.create_future()

    def attempt() -> None:
        reason = connection_failure(host, port)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, reason)

    def settle(reason: str) -> None:
        if not outcome.done():
            outcome.set_result(reason)

    # In its own thread, not in the loop's pool: looking up a name has no timeout, and a pool is waited for at exit.
    Thread(target=attempt, daemon=True).start()
    try:
        async with asyncio.timeout(_CONNECT_S):
            return await outcome
    except TimeoutError:
        return f"no answer within {_CONNECT_S:.0f} s"
