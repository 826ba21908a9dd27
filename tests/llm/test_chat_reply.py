"""Any JSON that a server sends is either a reply that can be cached or no reply."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.llm.cache.response_cache import ResponseCache
from engram_eval.llm.chat_reply import answer_text, read_chat
from engram_eval.llm.errors import LLMError
from engram_eval.llm.transport import TransportError

_ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(["stop", "length", "<think>", "\0"])
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "type", "cached_tokens"]), inner)
    ),
    max_leaves=4,
)


def _some(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, _ANY))


_CHOICES = st.builds(
    lambda choice, message: {**choice, "message": message}, _some("finish_reason"), _some("content", "refusal") | _ANY
)
_REPLIES = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(_CHOICES, max_size=2) | _ANY,
        "usage": _some("prompt_tokens", "completion_tokens", "prompt_tokens_details") | _ANY,
    },
)


@settings(max_examples=60)
@given(_REPLIES)
def test_any_json_is_a_reply_that_the_cache_returns_unchanged_or_no_reply(content: dict[str, Any]) -> None:
    try:
        response = read_chat(content, "gpt-4o-mini", ["a question"]).value.response
    except TransportError:
        return
    with tempfile.TemporaryDirectory() as folder:
        cache = ResponseCache(Path(folder) / "cache.sqlite")
        assert cache.put(b"key", response, endpoint="e", model="m") == response
        assert cache.get(b"key") == response
        cache.close()
    try:
        assert answer_text(response, 10).strip()
    except LLMError as error:
        assert error.raw == response.text
