"""What makes two calls the same call: all that decides the answer, and nothing that does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

_TEMPERATURE = 0


def chat_key(
    endpoint: str,
    model: str,
    messages: Sequence[Mapping[str, str]],
    schema: Mapping[str, Any] | None,
    max_tokens: int,
    repeat: int,
) -> bytes:
    """The request as asked for, before it is put into what a server understands: that is learnt, and may change.

    Keys within the schema keep their order, which models follow; in a message it means nothing.
    """
    plain = [dict(sorted(message.items())) for message in messages]
    return _hash(["chat", endpoint, model, plain, schema, max_tokens, {"temperature": _TEMPERATURE}, repeat])


def embedding_key(endpoint: str, model: str, text: str) -> bytes:
    return _hash(["embedding", endpoint, model, text])


def encodable(text: str) -> str:
    """The text with lone surrogates, which no encoding can carry, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8") if not _is_encodable(text) else text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hash(request: list[Any]) -> bytes:
    canonical = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode("utf-8", "surrogatepass"), digest_size=20).digest()
