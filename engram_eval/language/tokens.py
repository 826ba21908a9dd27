"""Exact token counts without a network, in the answer model's own encoding where that is known."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import splintr
import tiktoken
import tiktoken.model

from engram_eval.errors import UserError
from engram_eval.system.network import require_network

DEFAULT_ENCODING = "o200k_base"  # gpt-4o, gpt-4o-mini, gpt-4.1: the models of the published figures

# Vocabularies inside the splintr wheel. For the first two, its counts equal tiktoken's (tests/language/test_tokens.py).
_EMBEDDED = (
    "o200k_base", "cl100k_base", "o200k_harmony", "llama3", "llama2", "qwen3", "qwen2", "deepseek_v3", "mistral_v3",
    "gemma3", "gemma2", "glm4", "kimi_k2", "phi4", "olmo2",
)  # fmt: skip

# Families of open models, by how their names are spelled on servers. A distilled model has the vocabulary of its base, so the
# bases come first. Mistral is left out: its models of one name differ in vocabulary from version to version.
_FAMILIES = {
    r"llama[-_ ]?3|distill[-_ ]llama": "llama3",
    r"llama[-_ ]?2|vicuna|tinyllama": "llama2",
    r"qwen[-_ ]?3(?![.\d])": "qwen3",
    r"qwen[-_ ]?2|distill[-_ ]qwen": "qwen2",
    r"gemma[-_ ]?3": "gemma3",
    r"gemma[-_ ]?2": "gemma2",
    r"deepseek[-_ ]?(?:v3|r1)": "deepseek_v3",
    r"phi[-_ ]?4(?![-_ ]?mini)": "phi4",
    r"olmo[-_ ]?2": "olmo2",
    r"glm[-_ ]?4": "glm4",
    r"kimi[-_ ]?k2": "kimi_k2",
}
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


def encoding_of(model: str) -> str | None:
    """The name of a model's encoding; None if it is not known."""
    name = model.rsplit("/", 1)[-1].lower()
    try:
        return tiktoken.model.encoding_name_for_model(name)
    except KeyError:
        return next((encoding for family, encoding in _FAMILIES.items() if re.search(family, name)), None)


def tokens_in_words(encoding: str, model: str | None, *, chosen: bool) -> str:
    """What the tokens are that were counted for a reader's model, None for the offline reader.

    `chosen`: a person named the encoding, who may know what the model's name does not tell.
    """
    own = encoding_of(model) if model else encoding
    is_estimate = own != encoding and not (chosen and own is None)
    return f"{encoding} tokens" + (f" (an estimate for {model})" if is_estimate else "")


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
