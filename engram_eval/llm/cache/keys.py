"""Cache keys: the hash of everything that decides the answer, and of nothing else."""

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
    """The key of the call as the caller made it, before it is adapted to the server: adaptations are learnt and may change.

    The keys of the schema keep their order, because models follow it; the order within a message means nothing.
    """
    plain = [dict(sorted(message.items())) for message in messages]
    return _hash(["chat", endpoint, model, plain, schema, max_tokens, {"temperature": _TEMPERATURE}, repeat])


def embedding_key(endpoint: str, model: str, text: str) -> bytes:
    return _hash(["embedding", endpoint, model, text])


def encodable(text: str) -> str:
    """The text with lone surrogates replaced, which no encoding can carry."""
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
