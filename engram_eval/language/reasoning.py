"""Tells a model's answer from the reasoning that some servers leave in its text.

Servers that know the model's format send reasoning in a field of its own, or not at all. Others send it in the text, in the
marks of the model's family:

- tags, `<think>…</think>` (DeepSeek, Qwen, Nemotron and most others), `<thinking>`, `[THINK]…[/THINK]` (Magistral) and others.
  Some templates put the opening tag into the prompt, so that the text has only the closing one;
- channels, `<|channel|>analysis<|message|>…<|channel|>final<|message|>…` (gpt-oss), also with these marks decoded away:
  `analysis…assistantfinal…`.
"""

from __future__ import annotations

import re

_TAGS = r"(?:(?:ant|seed:)?think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|(?:inner_)?monologue)"
_OPEN = re.compile(
    rf"<\|?\s*{_TAGS}\s*\|?>|\[THINK\]|◁think▷|<\|(?:begin_of_thought|start_thinking)\|>|<\|channel>thought"
    r"|\A\s*Here is my thought process:",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"<\|?\s*/\s*{_TAGS}\s*\|?>|\[/THINK\]|◁/think▷|<\|(?:end_of_thought|end_thinking)\|>|<channel\|>"
    r"|(?<=\n)Here is my response:",
    re.IGNORECASE,
)
_WRAPPED = re.compile(
    r"<(answer|response|output|final_answer)>(?P<tagged>.*)</\1>"
    r"|<\|(?:begin_of_(?:solution|box)|start_response)\|>(?P<marked>.*)<\|(?:end_of_(?:solution|box)|end_response)\|>",
    re.DOTALL | re.IGNORECASE,
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|start|call)\|>")
_BARE_START = re.compile(r"\s*(?:assistant\s*)?(?:analysis|commentary)(?=[A-Z\"'“(]|\s*\n)")
_BARE_FINAL = re.compile(r"assistant\s*final")


class OnlyReasoning(ValueError):  # noqa: N818
    """The text holds reasoning and no answer after it."""


def without_reasoning(text: str, *, leading: bool = False) -> str:
    """The answer: what comes after the last mark that ends reasoning, or the text as it is if it has no such mark.

    `leading`: reasoning counts only if nothing comes before it, so that marks which the model quotes are left in the text.
    Raises OnlyReasoning if nothing comes after it, or if reasoning begins and does not end.
    """
    if leading and (opening := _OPEN.search(text)) and text[: opening.start()].strip():
        return text
    if (answer := _final_channel(text)) is None:
        closed = [match.end() for match in _CLOSE.finditer(text)]
        answer = text[closed[-1] :] if closed else text
        if _OPEN.search(answer):
            raise OnlyReasoning("the text is reasoning that does not end")
        if not closed:
            return text
    answer = answer.strip()
    if wrapped := _WRAPPED.fullmatch(answer):
        answer = (wrapped["tagged"] or wrapped["marked"] or "").strip()
    if not answer:
        raise OnlyReasoning("the text is reasoning without an answer")
    return answer


def holds_reasoning(text: str) -> bool:
    """Whether the text has a mark of reasoning."""
    try:
        return without_reasoning(text) != text
    except OnlyReasoning:
        return True


def _final_channel(text: str) -> str | None:
    """The message on the final channel; None for a text without channels. Raises OnlyReasoning if there is no such message."""
    channels = list(_CHANNEL.finditer(text))
    if channels:
        last = channels[-1]
        if last[1].lower() != "final":
            raise OnlyReasoning("the text has no final channel")
        return _CHANNEL_END.split(text[last.end() :], maxsplit=1)[0]
    starts_bare = _BARE_START.match(text) is not None
    finals = list(_BARE_FINAL.finditer(text)) if starts_bare else [m for m in (_BARE_FINAL.match(text),) if m]
    if finals:
        return text[finals[-1].end() :]
    if starts_bare:
        raise OnlyReasoning("the text has no final channel")
    return None
