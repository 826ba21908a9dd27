"""Exact token counts without a network, in the answer model's own encoding."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import splintr
import tiktoken

from engram_eval.errors import UserError
from engram_eval.system.network import require_network

DEFAULT_ENCODING = "o200k_base"  # gpt-4o, gpt-4o-mini, gpt-4.1: the models of the published figures

# Vocabularies inside the splintr wheel. For the first two, its counts equal tiktoken's (tests/language/test_tokens.py).
_EMBEDDED = ("o200k_base", "cl100k_base", "llama3", "qwen3", "deepseek_v3", "mistral_v3", "glm4", "kimi_k2", "phi4")
_RANKS_HOST = "https://openaipublic.blob.core.windows.net"


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts and cuts text in one encoding. Text that looks like a special token (`<|endoftext|>`) counts as plain text."""

    encoding: str
    encode: Callable[[str], Sequence[int]]
    decode: Callable[[Sequence[int]], str]

    def count(self, text: str) -> int:
        return len(self.encode(text)) if len(text) < _LONG else _count_long(self, text)

    def cut(self, text: str, limit: int) -> str:
        """The longest beginning of `text`, to within a character, with at most `limit` tokens."""
        if self.count(text) <= limit:
            return text
        ids = self.encode(text)
        # A cut between two tokens can split a character of several bytes, and the shortened text can have other tokens
        # than before: remove tokens until the rest is a true beginning of the text that fits.
        for end in range(limit, 0, -1):
            head = self.decode(ids[:end]).rstrip("�")
            if text.startswith(head) and self.count(head) <= limit:
                return head
        return ""


_LONG = 20_000  # characters


@lru_cache(maxsize=16)
def _count_long(counter: TokenCounter, text: str) -> int:
    """Cached, because a full history is the context of every question about it."""
    return len(counter.encode(text))


@cache
def token_counter(encoding: str = DEFAULT_ENCODING) -> TokenCounter:
    """The counter for the encoding with this name.

    Raises UserError if neither the embedded vocabularies nor tiktoken know the name, or if tiktoken must fetch its ranks
    and there is no network.
    """
    if encoding in _EMBEDDED:
        embedded = splintr.Tokenizer.from_pretrained(encoding)
        return TokenCounter(encoding, embedded.encode_ordinary, embedded.decode_lossy)
    if encoding not in tiktoken.list_encoding_names():
        known = ", ".join(dict.fromkeys([*_EMBEDDED, *tiktoken.list_encoding_names()]))
        raise UserError(f"token encoding {encoding!r} is unknown; use one of: {known}")
    if not os.environ.get("TIKTOKEN_CACHE_DIR"):  # tiktoken fetches without a timeout: check first
        require_network(_RANKS_HOST, instead=f"use an embedded encoding: {', '.join(_EMBEDDED)}")
    try:
        ranks = tiktoken.get_encoding(encoding)
    except OSError as error:
        raise UserError(
            f"token encoding {encoding!r} could not be fetched ({type(error).__name__}); "
            f"use an embedded one: {', '.join(_EMBEDDED)}"
        ) from None
    return TokenCounter(encoding, ranks.encode_ordinary, ranks.decode)
