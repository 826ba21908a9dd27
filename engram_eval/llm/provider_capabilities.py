"""What a model at an endpoint understands, and what to say to it next when it refuses a parameter.

OpenAI's reasoning models take `max_completion_tokens` and no temperature; older and local servers take only
`max_tokens`; and of the ways to ask for JSON, an endpoint may have all, one or none. The first guess is made from the
model's name, the rest is learnt from refusals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from engram_eval.llm.transport import HTTPStatusError

# o1, o3-mini, gpt-5-nano, openai/o4-mini, ft:gpt-5-mini:…; not gpt-5-chat-latest, which does not reason
_REASONING = re.compile(r"(?:^|[/:])(?:o[1-9]\d*|gpt-(?:[5-9]|\d{2,})(?:\.\d+)?)(?!-chat)(?=$|[-:])")
_REASONING_ROOM = 8192  # tokens to think with, beside the answer's own; OpenAI counts both against the limit
_JSON_STATUSES = (400, 404, 422, 501)  # what servers answer to a response_format that they do not have
_NAME = re.compile(r"[^A-Za-z0-9_-]+")

Messages = Sequence[Mapping[str, str]]
Output = Literal["json_schema", "json_object", "text"]
_NEXT_OUTPUT: dict[Output, Output] = {"json_schema": "json_object", "json_object": "text"}


@dataclass(frozen=True, slots=True)
class ProviderCapabilities:
    completion_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True
    room: int = 0
    output: Output = "json_schema"

    def body(self, model: str, messages: Messages, schema: Mapping[str, Any] | None, max_tokens: int) -> dict[str, Any]:
        """The request in this dialect."""
        body: dict[str, Any] = {"model": model, "messages": [dict(message) for message in messages]}
        body[self.completion_limit] = max_tokens + self.room
        if self.temperature:
            body["temperature"] = 0
        if schema is None:
            return body
        if self.output == "json_schema":
            name = _NAME.sub("_", str(schema.get("title", "")))[:64] or "answer"
            format_: dict[str, Any] = {"name": name, "schema": dict(schema)}
            if _is_strict(schema):
                format_["strict"] = True
            body["response_format"] = {"type": "json_schema", "json_schema": format_}
            return body
        if self.output == "json_object":
            body["response_format"] = {"type": "json_object"}
        body["messages"] = _told_the_schema(body["messages"], schema)
        return body


def first_capabilities(model: str) -> ProviderCapabilities:
    if _REASONING.search(model):
        return ProviderCapabilities("max_completion_tokens", temperature=False, room=_REASONING_ROOM)
    return ProviderCapabilities()


_ABOUT_OUTPUT = re.compile(
    r"response.?format|json|schema|grammar|guided|structured|temperature|max_(?:completion_)?tokens", re.IGNORECASE
)


def names_its_objection(rejected: HTTPStatusError) -> bool:
    """Whether a refusal is about a parameter for sure: a bare 400 may be anything."""
    return rejected.status != 400 or bool(rejected.param or _ABOUT_OUTPUT.search(rejected.message))


def adapted(
    dialect: ProviderCapabilities, rejected: HTTPStatusError, *, asks_for_json: bool
) -> ProviderCapabilities | None:
    """The dialect to try after a refusal; None if the refusal is not about one."""
    asked_format = asks_for_json and dialect.output != "text"
    if rejected.status in (400, 422) and not (asked_format and rejected.param.startswith("response_format")):
        if dialect.temperature and rejected.names("temperature"):
            return replace(dialect, temperature=False)
        if dialect.completion_limit == "max_tokens" and rejected.names("max_tokens"):
            # The models that want the other name are those that reason.
            return replace(dialect, completion_limit="max_completion_tokens", room=_REASONING_ROOM)
        if dialect.completion_limit == "max_completion_tokens" and rejected.names("max_completion_tokens"):
            return replace(dialect, completion_limit="max_tokens")
    if asked_format and rejected.status in _JSON_STATUSES and not rejected.is_about_model():
        return replace(dialect, output=_NEXT_OUTPUT[dialect.output])
    return None


def _told_the_schema(messages: list[dict[str, str]], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """The schema goes to the end of the system message, or of the last message: some chat templates know no system."""
    place = next((i for i, message in enumerate(messages) if message.get("role") == "system"), len(messages) - 1)
    told = messages[place]["content"] + (
        "\n\nAnswer with one JSON value and nothing else: no explanation, no code fence. It must satisfy this JSON schema:\n"
        + json.dumps(schema, ensure_ascii=False)
    )
    return [*messages[:place], {**messages[place], "content": told}, *messages[place + 1 :]]


def _is_strict(schema: Any) -> bool:
    """Whether a schema meets the terms of OpenAI's strict mode: every object closed, every property required."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if (schema.get("type") == "object" or properties is not None) and (
            schema.get("additionalProperties") is not False
            or set(schema.get("required", ())) != set(properties if isinstance(properties, Mapping) else ())
        ):
            return False
        return all(_is_strict(value) for value in schema.values())
    if isinstance(schema, list | tuple):
        return all(_is_strict(value) for value in schema)
    return True
