"""How many tokens a request may take, estimated before it is sent, for the limits and the budget."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from engram_eval.errors import UserError
from engram_eval.language.tokens import TokenCounter, encoding_of, token_counter

_PER_MESSAGE = 8  # OpenAI's chat format takes 3 to 4, Llama's up to 7
_PER_REQUEST = 32
_OTHER_VOCABULARY = 1.5  # a vocabulary of half the size needs up to 1.5 times the tokens for English


@cache
def _counter(model: str) -> tuple[TokenCounter, float]:
    """The model's own vocabulary, or the default one and by what factor the model's counts may exceed it."""
    if encoding := encoding_of(model):
        with suppress(UserError):  # an old encoding that would have to be downloaded
            return token_counter(encoding), 1.0
    return token_counter(), _OTHER_VOCABULARY


class Estimates:
    """Upper bounds. If a server reports more (such as for its own chat template), the excess is added from then on."""

    def __init__(self) -> None:
        self._excess: dict[str, int] = {}

    def count(self, model: str, texts: Sequence[str], schema: Mapping[str, Any] | None = None) -> int:
        """Call this once for each request: 100,000 tokens take some tens of milliseconds."""
        counter, factor = _counter(model)
        tokens = sum(counter.count(text) + _PER_MESSAGE for text in texts) + _PER_REQUEST
        if schema is not None:
            tokens += counter.count(json.dumps(schema)) + _PER_REQUEST
        return int(tokens * factor) + 1

    def bound(self, model: str, counted: int) -> int:
        """The count with the known excess. 0 stays 0: then tokens are not counted, because nothing limits them."""
        return counted + self._excess.get(model, 0) if counted else 0

    def observe(self, model: str, counted: int, reported: int) -> None:
        if counted:
            self._excess[model] = max(self._excess.get(model, 0), reported - counted)


def plain_count(model: str, text: str) -> int:
    """The tokens of a text, for servers that report no usage."""
    return _counter(model)[0].count(text)
