"""Reads a chat completion, and decides whether it is an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engram_eval.llm.cache.keys import encodable
from engram_eval.llm.cache.response_cache import Response
from engram_eval.llm.calls import Reply, Usage
from engram_eval.llm.cost.token_estimates import plain_count
from engram_eval.llm.errors import LLMError
from engram_eval.llm.parsing import without_thoughts
from engram_eval.llm.transport import TransportError

_CUT_OFF = ("length", "max_tokens", "model_length")
_ABSURD = 10**12  # tokens
_FILTERED = ("content_filter", "safety", "refusal")


def read_chat(content: Mapping[str, Any], model: str, prompt: Sequence[str]) -> Reply[Response]:
    """Raises TransportError for JSON that is not a chat completion."""
    match content.get("choices"):
        case [{"message": dict() as message, **choice}, *_]:
            pass
        case _:
            raise TransportError("the server sent JSON that is not a chat completion")
    text, refusal, finish = _text(message.get("content")), message.get("refusal"), choice.get("finish_reason")
    if isinstance(refusal, str) and refusal and not text:
        text, finish = refusal, "refusal"
    text = encodable(text)
    usage = read_usage(content) or Usage(sum(plain_count(model, t) for t in prompt), plain_count(model, text))
    finish = encodable(finish) if isinstance(finish, str) else "stop"
    return Reply(
        Response(text, finish, usage.prompt_tokens, usage.cached_prompt_tokens, usage.completion_tokens, 0.0), usage
    )


def read_usage(content: Mapping[str, Any]) -> Usage | None:
    match content.get("usage"):
        case {"prompt_tokens": int() as prompt, **usage} if 0 <= prompt < _ABSURD:
            completion, details = usage.get("completion_tokens"), usage.get("prompt_tokens_details")
            cached = details.get("cached_tokens") if isinstance(details, dict) else None
            return Usage(prompt, _count(completion), min(prompt, _count(cached)))
    return None


def answer_text(response: Response, max_tokens: int) -> str:
    """The answer without a reasoning model's thoughts. Raises LLMError if it is cut off, refused or empty."""
    if response.finish_reason in _CUT_OFF:
        raise LLMError(f"the answer was cut off at the token limit (max_tokens={max_tokens})", response.text)
    if response.finish_reason in _FILTERED:
        raise LLMError(f"the model refused to answer ({response.finish_reason})", response.text)
    text = without_thoughts(response.text)
    if not text.strip():
        raise LLMError("the answer is empty", response.text)
    return text


def is_blank(response: Response) -> bool:
    """Whether the reply has no text and gives no reason."""
    return not response.text.strip() and response.finish_reason not in (*_CUT_OFF, *_FILTERED)


def _text(content: Any) -> str:
    """The text of a message. Some servers send it in parts."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < _ABSURD else 0
