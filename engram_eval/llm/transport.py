"""One attempt at one request. It gives the server's JSON, or one of two errors.

The SDK sends the request (`post` with the raw response as its result, which is its way for bodies that it does not model).
Bodies are parsed here: servers send fields and errors that the SDK's types do not have, and parsing takes half the time.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from engram_eval.errors import UserError, note
from engram_eval.llm.clock import Clock
from engram_eval.llm.endpoint import OPENAI_URL, endpoint_url, is_loopback
from engram_eval.llm.reachable import proxy_of, why_unreachable
from engram_eval.tables.text import visible

CONNECT_S = 5.0
_LONGEST_REPLY = 24_000_000  # bytes; the embeddings of a full batch, written as numbers, are 16 MB
_LIST_S = 5.0
_SHORTEST_KEY = 16
_ABOUT_CONTEXT = re.compile(
    r"context[_ ]?(?:length|window|size)|maximum context|exceed_context|too many tokens|prompt is too long|"
    r"input (?:is|length) .{0,40}too long|reduce the length",
    re.IGNORECASE,
)
_ABOUT_MODEL = re.compile(
    r"model\b.{0,200}(?:not found|not exist|unknown|no access)|not a valid model|unknown model",
    re.IGNORECASE | re.DOTALL,
)
_MAY_PASS = re.compile(
    r"overload|rate.?limit|too many requests|unavailable|temporar|time.?out|timed.out|busy|try again|loading|internal|"
    r"server.?error|upstream|bad gateway",
    re.IGNORECASE,
)
_ABOUT_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_ABOUT_CONTENT = ("content_filter", "content_policy_violation", "content_policy")


@dataclass(eq=False)
class HTTPStatusError(Exception):
    """The server answered with an error status."""

    status: int
    message: str
    code: str
    param: str
    headers: Mapping[str, str]

    def names(self, parameter: str) -> bool:
        """Whether the server objects to this parameter."""
        if self.param:
            return self.param == parameter
        return re.search(rf"(?<![\w]){re.escape(parameter)}(?![\w])", self.message) is not None

    def is_about_context(self) -> bool:
        return self.status in (400, 413, 422, 500) and bool(
            _ABOUT_CONTEXT.search(self.code) or _ABOUT_CONTEXT.search(self.message)
        )

    def is_about_model(self) -> bool:
        return self.status in (400, 404) and bool(self.code == "model_not_found" or _ABOUT_MODEL.search(self.message))

    def is_about_quota(self) -> bool:
        return self.code in _ABOUT_QUOTA

    def is_about_content(self) -> bool:
        return self.code in _ABOUT_CONTENT

    def __str__(self) -> str:
        return f"{self.status} {self.message}" if self.message else f"{self.status}"


@dataclass(eq=False)
class TransportError(Exception):
    """No usable reply: time-out, dropped connection, broken body. `sent`: the server may have done and charged the work."""

    message: str
    sent: bool = True
    timed_out: bool = False

    def __str__(self) -> str:
        return self.message


class Endpoint:
    """A server. `url` identifies it in the response cache, and never holds a key, a password or a query."""

    def __init__(self, base_url: str | None, api_key: str | None, timeout_s: float, clock: Clock) -> None:
        self.url = endpoint_url(base_url)
        host = urlsplit(self.url).hostname or ""
        self.is_openai, self.is_loopback = host == urlsplit(OPENAI_URL).hostname, is_loopback(host)
        self._key = _checked_key(api_key if api_key is not None else os.environ.get("OPENAI_API_KEY"), self.url)
        self._timeout_s, self._connect_s, self._clock = timeout_s, min(CONNECT_S, timeout_s), clock
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self.url,
            max_retries=0,
            timeout=httpx2.Timeout(timeout_s, connect=self._connect_s),
            # It takes half the time of the SDK's default transport, whose pool checks all open connections for each request.
            http_client=openai.DefaultAioHttpClient(
                verify=_certificates(),
                follow_redirects=False,  # the texts of a request are for this server alone
                headers={"Accept-Encoding": "identity"},
                event_hooks={"response": [_bound]},
            ),
        )
        # The names of an OpenAI account are sent to OpenAI only.
        if not self.is_openai:
            self._client.organization = self._client.project = None
        self._has_answered = False  # with JSON, at any time
        self._web_pages = 0
        self._reaching = asyncio.Lock()
        self._is_reached = False

    async def post(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """The reply and the seconds it took. Raises HTTPStatusError, TransportError, or UserError if there is no server."""
        if not self._is_reached:
            await self._reach()
        start = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.post(path, cast_to=httpx2.Response, body=body)
        except openai.APIStatusError as error:
            if 300 <= error.status_code < 400:
                raise self._redirected(error.response.headers.get("location", "")) from None
            self._has_answered = self._has_answered or "json" in error.response.headers.get("content-type", "")
            raise self._status_error(error.status_code, error.response.text, error.response.headers) from None
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            raise self._no_reply(_root(error)) from None
        latency = self._clock.monotonic() - start
        return self._read(response), latency

    async def get(self, path: str) -> Any:
        """The JSON at a path; None if there is none within 5 s. Raises UserError if there is no server at all."""
        try:
            async with asyncio.timeout(_LIST_S):
                if not self._is_reached:
                    await self._reach()
                response = await self._client.get(path, cast_to=httpx2.Response)
        except openai.APIStatusError:
            return None
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
            failure = self._no_reply(_root(error))
            if isinstance(failure, UserError):
                raise failure from None
            return None
        try:
            return json.loads(self._without_key(response.text))
        except (ValueError, RecursionError):
            return None

    async def close(self) -> None:
        await self._client.close()

    async def _reach(self) -> None:
        """Checks once, before the first request, that there is a server. Without a network, looking up its name can hang."""
        async with self._reaching:
            if not self._is_reached:
                if self.is_loopback and (proxy := proxy_of(self.url)):
                    _note_proxy(self.url, urlsplit(proxy).netloc.rpartition("@")[2])
                if reason := await why_unreachable(self.url):
                    raise self._no_server(reason)
                self._is_reached = True

    def _read(self, response: httpx2.Response) -> dict[str, Any]:
        text = self._without_key(response.text)
        try:
            reply = json.loads(text)
        except (ValueError, RecursionError):
            reply = None
        if "\\" in text:  # the key may have been written with escapes
            reply = self._redacted(reply)
        if not isinstance(reply, dict):
            self._web_pages += text.lstrip()[:1] == "<"
            if self._web_pages > 1 and not self._has_answered:
                raise UserError(f"{self.url} answers with a web page; name an OpenAI-compatible API (most end in /v1)")
            raise TransportError(f"{self.url} sent a body that is not JSON: {brief(text) or 'empty'}")
        self._has_answered = True
        if error := _error_in(reply):  # some servers send an error with status 200
            raise self._status_error(_status_of(error), json.dumps({"error": error}), response.headers)
        return reply

    def _status_error(self, status: int, text: str, headers: Mapping[str, str]) -> HTTPStatusError:
        text = self._without_key(text)
        try:
            body = self._redacted(json.loads(text))
        except (ValueError, RecursionError):
            body = None
        error = body.get("error", body) if isinstance(body, dict) else None
        if isinstance(error, dict):
            message = error.get("message") or error.get("detail") or ""
            code, kind, param = (error.get(name) for name in ("code", "type", "param"))
            code = code if isinstance(code, str) else kind
        else:
            message, code, param = error or text, None, None
        message = brief(message if isinstance(message, str) else json.dumps(message))
        return HTTPStatusError(status, message, str(code or ""), str(param or ""), headers)

    def _without_key(self, text: str) -> str:
        """Removes the key, which some servers echo. Placeholders such as "EMPTY" are not secret, and may be words of a text."""
        if len(self._key) < _SHORTEST_KEY or self._key not in text:
            return text
        return text.replace(self._key, "[key]")

    def _redacted(self, value: Any) -> Any:
        """Parsed JSON without the key."""
        if isinstance(value, str):
            return self._without_key(value)
        if isinstance(value, dict):
            return {self._without_key(name): self._redacted(inner) for name, inner in value.items()}
        return [self._redacted(inner) for inner in value] if isinstance(value, list) else value

    def _redirected(self, target: str) -> UserError:
        place = brief(self._without_key(target)) or "nowhere"
        return UserError(f"{self.url} redirects to {place}; name the address that is meant with --base-url")

    def _no_reply(self, root: BaseException) -> Exception:
        """The error for the root cause. The exceptions that wrap it can name a wrong cause."""
        if isinstance(root, aiohttp.ConnectionTimeoutError):
            return TransportError(f"no connection to {self.url} within {self._connect_s:g} s", sent=False)
        if isinstance(root, _ReplyTooLongError):
            return TransportError(f"{self.url} sent a reply of more than {_LONGEST_REPLY:,} bytes, or a compressed one")
        if isinstance(root, TimeoutError):
            return TransportError(f"{self.url} did not answer within {self._timeout_s:g} s", timed_out=True)
        reason = brief(str(root)) or type(root).__name__
        if not isinstance(root, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError):
            return TransportError(f"the connection to {self.url} broke ({reason})")
        if not self._has_answered:
            return self._no_server(reason)
        return TransportError(f"the connection to {self.url} could not be made ({reason})", sent=False)

    def _no_server(self, reason: str) -> UserError:
        fix = "check the network" if self.url == OPENAI_URL else "check --base-url and that the server is running"
        return UserError(f"{self.url} cannot be reached ({reason}); {fix}")


def _error_in(reply: Mapping[str, Any]) -> Any:
    """The error that a reply with status 200 holds, of the whole or of its only choice; None if it holds none."""
    if (error := reply.get("error")) and isinstance(error, str | dict):
        return error
    match reply.get("choices"):
        case [{"error": str() | dict() as error}] if error:
            return error
    return None


def _status_of(error: str | dict[str, Any]) -> int:
    """The HTTP status that an error names, or that says whether the same request may succeed later."""
    status = error.get("code") or error.get("status") if isinstance(error, dict) else None
    if isinstance(status, str) and status.isdecimal():
        status = int(status)
    if isinstance(status, int) and 400 <= status < 600:
        return status
    return 503 if _MAY_PASS.search(json.dumps(error)) else 400


class _ReplyTooLongError(OSError):
    pass


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._stream:
            read += len(chunk)
            if read > _LONGEST_REPLY:
                raise _ReplyTooLongError
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    """Refuses replies that would fill the memory: long ones, and compressed ones, which nobody asked for."""
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        await response.aclose()
        raise _ReplyTooLongError
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _BoundedStream(response.stream)


@cache
def _note_proxy(url: str, proxy: str) -> None:
    """Once for each address."""
    note(
        f"requests to {url} go through the proxy {proxy} that the environment names; if this machine's own server is meant, "
        "set NO_PROXY=localhost,127.0.0.1"
    )


@cache
def _certificates() -> ssl.SSLContext:
    """Loaded once for all clients: it takes some tens of milliseconds."""
    return httpx2.create_ssl_context()


def _root(error: BaseException) -> BaseException:
    """The root cause. An aiohttp error counts as the cause: its message is clearer than the system's below it."""
    while not isinstance(error, aiohttp.ClientError) and (cause := error.__cause__) is not None:
        error = cause
    return error


def brief(text: str) -> str:
    """One line of at most 300 characters, none of which is hidden or changes the others."""
    line = " ".join(visible(text).split())
    return line if len(line) <= 300 else line[:297] + "..."


def _checked_key(key: str | None, url: str) -> str:
    key = (key or "").strip()
    if not key and urlsplit(url).hostname == urlsplit(OPENAI_URL).hostname:
        raise UserError("OPENAI_API_KEY is not set; set it, or name your own server with --base-url")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UserError("OPENAI_API_KEY holds characters that no key has; set it again")
    return key
