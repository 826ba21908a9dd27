"""How many tokens a request can come to, before it is sent: what limits and budget set aside for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import tiktoken.model

from engram_eval.errors import UserError
from engram_eval.language.tokens import TokenCounter, token_counter

_PER_MESSAGE = 8  # OpenAI's chat format takes 3 to 4, Llama's up to 7
_PER_REQUEST = 32
_OTHER_VOCABULARY = 1.5  # vocabularies of half the size take up to half as many tokens again on English


@cache
def _counter(model: str) -> tuple[TokenCounter, float]:
    """The model's own vocabulary, or the default one and what another may differ from it by."""
    try:
        return token_counter(tiktoken.model.encoding_name_for_model(model.rsplit("/", 1)[-1])), 1.0
    except (KeyError, UserError):  # not OpenAI's; or an old encoding that would have to be fetched
        return token_counter(), _OTHER_VOCABULARY


class Estimates:
    """Upper bounds. What a server was seen to report beyond them (a template of its own, say) is added from then on."""

    def __init__(self) -> None:
        self._beyond: dict[str, int] = {}

    def count(self, model: str, texts: Sequence[str], schema: Mapping[str, Any] | None = None) -> int:
        """Once for a request: 100,000 tokens take some tens of milliseconds."""
        counter, factor = _counter(model)
        tokens = sum(counter.count(text) + _PER_MESSAGE for text in texts) + _PER_REQUEST
        if schema is not None:
            tokens += counter.count(json.dumps(schema)) + _PER_REQUEST
        return int(tokens * factor) + 1

    def bound(self, model: str, counted: int) -> int:
        """By all that is known by now. 0 stays 0: nothing was counted because nothing limits it."""
        return counted + self._beyond.get(model, 0) if counted else 0

    def observe(self, model: str, counted: int, reported: int) -> None:
        if counted:
            self._beyond[model] = max(self._beyond.get(model, 0), reported - counted)


def plain_count(model: str, text: str) -> int:
    """For servers that report no usage."""
    return _counter(model)[0].count(text)
