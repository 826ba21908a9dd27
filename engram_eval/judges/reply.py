"""The forms of a judge's reply, and how each is read. A reply in another form is an error, never a verdict.

- `verdict`: {"reason": …, "verdict": "CORRECT" or "WRONG"}, the form of this package's own rules.
- `label`: {"label": "CORRECT" or "WRONG"}, with any other keys.
- `plain`: no form is asked of the model. Its whole reply is one word (yes, no, correct, wrong …) or such a JSON object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engram_eval.language.prompt_file import ReplyName

if TYPE_CHECKING:
    from engram_eval.llm import Completion

Schema = Mapping[str, Any]

VERDICT_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 400},
        "verdict": {"type": "string", "enum": ["CORRECT", "WRONG"]},
    },
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}
LABEL_SCHEMA: Schema = {  # open, so that a model may explain itself first, as in JSON mode
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["CORRECT", "WRONG"]}},
    "required": ["label"],
}
_ANY_OBJECT = '{"type": "object"}'
_RIGHT = {"yes": True, "correct": True, "true": True, "no": False, "wrong": False, "incorrect": False, "false": False}
_AROUND_WORD = " \t\r\n.!\"'`*"  # a full stop, quotes, and Markdown's marks
_KEYS = ("verdict", "label", "correct")


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """`schema`: what the endpoint is asked for; None for text. `read` returns whether the answer is right, and the reason.

    `accepts`: whether a text is a verdict; None where the schema says so.
    """

    schema: Schema | None
    read: Callable[[Completion], tuple[bool, str]]
    accepts: Callable[[str], bool] | None = None


def _read_verdict(completion: Completion) -> tuple[bool, str]:
    data: dict[str, str] = completion.data or {}
    return data["verdict"] == "CORRECT", data["reason"]


def _read_label(completion: Completion) -> tuple[bool, str]:
    data: dict[str, str] = completion.data or {}
    return data["label"] == "CORRECT", completion.text.strip()


def _read_plain(completion: Completion) -> tuple[bool, str]:
    from engram_eval.llm.errors import LLMError

    text = completion.text
    if (vote := _plain_vote(text)) is None:
        raise LLMError(
            f"the judge's reply is not a verdict (yes, no, CORRECT, WRONG, or JSON with 'label'): {_brief(text)}", text
        )
    return vote, text.strip()


def _plain_vote(text: str) -> bool | None:
    """None for a text that is no verdict, or two that differ."""
    votes = {vote for vote in (_vote(text), *_votes_of_object(text)) if vote is not None}
    return votes.pop() if len(votes) == 1 else None


def _vote(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return _RIGHT.get(value.strip(_AROUND_WORD).lower()) if isinstance(value, str) else None


def _votes_of_object(text: str) -> list[bool | None]:
    from engram_eval.llm.parsing import NotParsed, parse_json

    try:
        data = parse_json(text, _ANY_OBJECT)
    except NotParsed:
        return []
    return [_vote(data[key]) for key in _KEYS if key in data]


def _brief(text: str) -> str:
    line = re.sub(r"\s+", " ", text).strip()
    return repr(line if len(line) <= 300 else line[:297] + "...")


REPLIES: Mapping[ReplyName, ReplyForm] = {
    "plain": ReplyForm(None, _read_plain, lambda text: _plain_vote(text) is not None),
    "label": ReplyForm(LABEL_SCHEMA, _read_label),
    "verdict": ReplyForm(VERDICT_SCHEMA, _read_verdict),
}
