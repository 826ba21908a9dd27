"""A memory on a server: each message is a request.

    GET  /v1/info
    POST /v1/memories/{id}/open     and ingest, ready, retrieve, close; the body has the fields of the message

A reply is JSON with a status of 200 to 299; for another status, its `error` says why. 202 to `ingest` means that the session is
accepted and stored later, and 202 to `ready`, not yet. The id of a memory is made by the run and belongs to one conversation.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp

from engram_eval.backends.backend import Services
from engram_eval.backends.remote.protocol import (
    LONGEST_REPLY,
    Done,
    Info,
    InfoRequest,
    Readiness,
    RemoteError,
    Reply,
    Request,
    failure,
    parse_reply,
    shown,
)
from engram_eval.errors import UserError

KEY_VARIABLE = "MEMORY_API_KEY"
"""The environment variable with the key, which is sent as `Authorization: Bearer KEY`."""
_PAUSES_S: tuple[float, ...] = (0.5, 2.0)  # before a repeatable message is sent again
_BUSY = (429, 502, 503, 504)
_CONNECT_S = 10.0
_SHORTEST_KEY = 8  # characters; a shorter one may be a word of a text


class HttpDoor:
    """Talks to a server. Raises UserError if `address` is not a plain URL."""

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host:
            raise UserError(f"backend {address[:80]!r}: not of the form http://HOST:PORT; correct the URL")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise UserError(
                f"backend at {host}: the URL holds a password, query or fragment; remove it and put a key into {KEY_VARIABLE}"
            )
        self.address = address
        self.label = (parts.netloc + parts.path).rstrip("/")
        self._url = address.rstrip("/")

    async def info(self) -> Info:
        connection = _Connection(self._url)
        try:
            return await connection.call(InfoRequest(), Info)
        finally:
            await connection.close()

    async def connect(self, services: Services) -> _Connection:  # noqa: ARG002 - nothing on this machine is its own
        return _Connection(self._url)


def refuse_shared_key(addresses: Collection[str]) -> None:
    """Raises UserError if the key would be sent to several hosts: it belongs to one of them. Workers get no key."""
    hosts = dict.fromkeys(urlsplit(address).netloc for address in addresses if address.startswith("http"))
    if len(hosts) > 1 and os.environ.get(KEY_VARIABLE):
        raise UserError(
            f"{KEY_VARIABLE} is set, and would be sent to {' and to '.join(hosts)}; unset it, or run these memories apart"
        )


def _key() -> str:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key.isascii() or not key.isprintable():
        raise UserError(f"{KEY_VARIABLE} holds characters that no key has; set it again")
    return key


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    body: bytes
    content_type: str
    location: str


class _BusyError(RemoteError):
    """The server could not be reached, or said that it has no time: a repeatable message may be sent again."""


class _Connection:
    """The requests about one conversation."""

    folder: str | None = None

    def __init__(self, url: str) -> None:
        self._url, self._id, self._key = url, uuid4().hex, _key()
        authorization = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._session = aiohttp.ClientSession(
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **authorization},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def call(self, request: Request, kind: type[Reply]) -> Reply:
        for pause in _PAUSES_S if request.repeatable else ():
            try:
                return self._read(request, kind, await self._exchange(request))
            except _BusyError:
                await asyncio.sleep(pause)
        return self._read(request, kind, await self._exchange(request))

    async def _exchange(self, request: Request) -> _Response:
        is_info = isinstance(request, InfoRequest)
        url = f"{self._url}/v1/info" if is_info else f"{self._url}/v1/memories/{self._id}/{request.name}"
        body = None if is_info else request.model_dump_json().encode()
        try:
            async with self._session.request(
                "GET" if is_info else "POST",
                url,
                data=body,
                headers={"Content-Type": "application/json"} if body else {},
                allow_redirects=False,  # the texts are for this server alone, and so is the key
            ) as response:
                return _Response(
                    response.status,
                    await self._body(response),
                    response.headers.get("Content-Type", "").partition(";")[0].strip(),
                    response.headers.get("Location", ""),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            number = getattr(getattr(error, "os_error", None), "errno", None)
            reason = os.strerror(number) if number and number > 0 else str(error) or "no answer"
            raise _BusyError(
                f"{self._url} cannot be reached ({reason}); start the server, or correct the URL"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            reason = shown(self._without_key(str(error).encode()), quoted=False) or type(error).__name__
            raise _BusyError(f"the connection to {self._url} broke at '{request.name}' ({reason})") from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise RemoteError(f"{self._url} sent a compressed reply, which was not asked for")
        body = bytearray()
        async for part in response.content.iter_chunked(1 << 16):
            body += part
            if len(body) > LONGEST_REPLY:
                raise RemoteError(f"{self._url} sent a reply of more than {LONGEST_REPLY:,} bytes")
        return self._without_key(bytes(body))

    def _read(self, request: Request, kind: type[Reply], response: _Response) -> Reply:
        status, body = response.status, response.body
        if 200 <= status < 300:
            if error := failure(body):
                raise RemoteError(f"{self._url} answered '{request.name}' with an error: {error}")
            if kind is Readiness and status == 202:
                return kind.model_validate({"ready": False})
            source = f"the reply of {self._url} to '{request.name}'"
            return parse_reply(kind, body if body.strip() or kind not in (Done, Readiness) else b"{}", source)
        if 300 <= status < 400:
            target = shown(self._without_key(response.location.encode("utf-8", "replace")), quoted=False) or "nowhere"
            raise RemoteError(
                f"{self._url} redirects '{request.name}' to {target}; name the address that is meant with --backend"
            )
        reason = failure(body) or (
            f"{response.content_type or 'no type'}, {shown(body)}" if body.strip() else "no reason"
        )
        kind_of_error = _BusyError if status in _BUSY else RemoteError
        raise kind_of_error(f"{self._url} answered '{request.name}' with status {status}: {reason}")

    def _without_key(self, text: bytes) -> bytes:
        """Removes the key, which some servers echo."""
        return text.replace(self._key.encode(), b"[key]") if len(self._key) >= _SHORTEST_KEY else text

    async def close(self) -> None:
        await self._session.close()
