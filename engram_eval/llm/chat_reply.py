"""Reads a chat completion, and decides whether it is an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engram_eval.language.reasoning import OnlyReasoning, holds_reasoning, without_reasoning
from engram_eval.llm.cache.keys import encodable
from engram_eval.llm.cache.response_cache import Response
from engram_eval.llm.calls import Reply, Usage
from engram_eval.llm.cost.token_estimates import plain_count
from engram_eval.llm.errors import LLMError
from engram_eval.llm.transport import TransportError

_STOPPED = (
    "",
    "stop",
    "stop_sequence",
    "end_turn",
    "eos",
    "eos_token",
    "end",
    "complete",
    "completed",
    "finished",
    "done",
)
_CUT_OFF = (
    "length", "max_tokens", "max_output_tokens", "max_new_tokens", "token_limit", "model_length",
    "model_context_window_exceeded", "incomplete",
)  # fmt: skip
_FILTERED = (
    "content_filter", "content_filtered", "safety", "refusal", "recitation", "blocklist", "prohibited_content", "spii",
    "guardrail_intervened",
)  # fmt: skip
_PROMPT_CUT = "prompt_cut:"
"""Kept in place of the server's reason where it read less than it was sent; the number after it is what it was sent."""
_ABSURD = 10**12  # tokens
_FLAG_OF = {"extractor": "router"}
_SURELY_BYTES = 5  # a token of text has fewer bytes on average: a prompt is counted only if the server may have cut it
_LEAST_SHARE = 0.7  # vocabularies differ by up to a third in what they make of a text
_SHORT_BYTES = 4_000


@dataclass(frozen=True, slots=True)
class ChatReply:
    """`reasoned`: the model thought before it answered, in the text or in a field of its own."""

    response: Response
    reasoned: bool


def read_chat(content: Mapping[str, Any], model: str, prompt: Sequence[str]) -> Reply[ChatReply]:
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
    told = read_usage(content)
    usage = told or Usage(sum(plain_count(model, t) for t in prompt), plain_count(model, text))
    finish = encodable(finish).strip().lower() if isinstance(finish, str) else ""
    if told and (sent := _sent_if_cut(told.prompt_tokens, model, prompt)):
        finish = f"{_PROMPT_CUT}{sent}"
    served = content.get("model")
    response = Response(
        text,
        finish or "stop",
        usage.prompt_tokens,
        usage.cached_prompt_tokens,
        usage.completion_tokens,
        0.0,
        encodable(served) if isinstance(served, str) else "",
        _seconds(content, "prompt_ms"),
    )
    reasoned = any(message.get(name) for name in ("reasoning_content", "reasoning", "thinking")) or holds_reasoning(
        text
    )
    return Reply(ChatReply(response, reasoned), usage, _work_s(content))


def read_usage(content: Mapping[str, Any]) -> Usage | None:
    match content.get("usage"):
        case {"prompt_tokens": int() as prompt, **usage} if 0 <= prompt < _ABSURD:
            completion, details = usage.get("completion_tokens"), usage.get("prompt_tokens_details")
            cached = details.get("cached_tokens") if isinstance(details, dict) else None
            if cached is None and isinstance(timings := content.get("timings"), dict):
                cached = timings.get("cache_n")  # llama.cpp's
            # Some servers count the part of the prompt that they had in their cache apart.
            read = prompt + _count(cached) if _count(cached) > prompt else prompt
            return Usage(read, _count(completion), _count(cached))
    return None


def answer_text(response: Response, max_tokens: int, *, role: str = "", is_json: bool = False) -> str:
    """The answer without the model's reasoning (JSON is returned as it is, see `parse_json`).

    Raises LLMError for a reply that is cut off, refused, empty or only reasoning, and for one to a prompt that the server cut.
    """
    finish, raw = response.finish_reason, response.text
    flag = f"--{_FLAG_OF.get(role, role)}-max-tokens" if role else "its limit"
    if finish.startswith(_PROMPT_CUT):
        raise LLMError(
            f"the server read {response.prompt_tokens:,} tokens of a prompt of about {int(finish[len(_PROMPT_CUT) :]):,}: it "
            "cut the context; raise the server's context length, or lower --window",
            raw,
        )
    if finish in _CUT_OFF:
        raise LLMError(f"the answer was cut off at the token limit (max_tokens={max_tokens}); raise {flag}", raw)
    if finish in _FILTERED:
        raise LLMError(f"the model refused to answer ({finish})", raw)
    if finish not in _STOPPED:
        raise LLMError(f"the server ended the answer for the reason {finish[:40]!r}, not because it was complete", raw)
    if not raw.strip():
        raise LLMError("the answer is empty", raw)
    if is_json:
        return raw
    try:
        return without_reasoning(raw)
    except OnlyReasoning as error:
        raise LLMError(f"{error}; raise {flag} if the model needs more room to think", raw) from None


def is_blank(response: Response) -> bool:
    """Whether the reply has no text and gives no reason."""
    return not response.text.strip() and response.finish_reason in _STOPPED


def is_cut_off(response: Response) -> bool:
    return response.finish_reason in _CUT_OFF


def _sent_if_cut(read: int, model: str, prompt: Sequence[str]) -> int:
    """How many tokens were sent, if the server read far fewer of them; else 0.

    Ollama drops the start of a prompt that does not fit, without an error. Short prompts are not looked at: they fit.
    """
    size = sum(len(text.encode("utf-8", "replace")) for text in prompt)
    if size < _SHORT_BYTES or not read or read * _SURELY_BYTES >= size:
        return 0
    sent = sum(plain_count(model, text) for text in prompt)
    return sent if read < _LEAST_SHARE * sent else 0


def _seconds(content: Mapping[str, Any], name: str) -> float | None:
    """One of llama.cpp's timings, in seconds."""
    timings = content.get("timings")
    value = timings.get(name) if isinstance(timings, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _ABSURD:
        return None
    return value / 1000


def _work_s(content: Mapping[str, Any]) -> float | None:
    """The seconds that the server worked on the request, without the time in which it was queued."""
    reading, writing = _seconds(content, "prompt_ms"), _seconds(content, "predicted_ms")
    return None if reading is None or writing is None else reading + writing


def _text(content: Any) -> str:
    """The text of a message. Some servers send it in parts."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < _ABSURD else 0
