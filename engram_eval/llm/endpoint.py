"""The address of an OpenAI-compatible API."""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from engram_eval.errors import UserError

OPENAI_URL = "https://api.openai.com/v1"


def endpoint_url(base_url: str | None) -> str:
    """A normalised base URL. Raises UserError if it is not a URL, or holds a secret."""
    url = (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).strip()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme.lower() not in ("http", "https"):
        raise UserError("the base URL is not of the form http://HOST:PORT/v1; correct --base-url")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UserError(
            f"the base URL of {host} holds a password or a query; remove it and put the key into OPENAI_API_KEY"
        )
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine's own."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")
