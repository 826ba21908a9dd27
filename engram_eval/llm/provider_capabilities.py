"""Which parameters a model at an endpoint accepts, and what to try next when it refuses one.

OpenAI's reasoning models take `max_completion_tokens` and no temperature; older and local servers take only
`max_tokens`; and an endpoint may support all ways to request JSON, one, or none. The first guess comes from the model's
name, the rest is learnt from refusals.
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
_OPENAI = re.compile(r"(?:^|[/:])(?:gpt-[345]|chatgpt|o[1-9])")  # whose strict schemas have no limits
_LIMITS = ("maxLength", "minLength", "maxItems", "minItems")
REASONING_TOKENS = 8192  # for thinking, on top of the answer's tokens; OpenAI counts both against the limit
_JSON_STATUSES = (400, 404, 422, 501)  # how servers answer a response_format that they do not support
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_ABOUT_FORMAT = re.compile(
    r"response.?format|json.?schema|json.?object|grammar|guided|structured.?output", re.IGNORECASE
)
_ABOUT_OUTPUT = re.compile(
    r"response.?format|json|schema|grammar|guided|structured|temperature|max_(?:completion_)?tokens|(?:max|min)(?:Length|Items)",
    re.IGNORECASE,
)

Messages = Sequence[Mapping[str, str]]
Output = Literal["json_schema", "json_object", "text"]
_NEXT_OUTPUT: dict[Output, Output] = {"json_schema": "json_object", "json_object": "text"}


@dataclass(frozen=True, slots=True)
class ProviderCapabilities:
    """`room`: tokens added to the limit of each answer, for a model that thinks before it answers.

    `bounded`: whether a schema may limit the length of texts and lists, which keeps a small model from running on and on.
    """

    completion_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True
    room: int = 0
    output: Output = "json_schema"
    bounded: bool = True

    def body(self, model: str, messages: Messages, schema: Mapping[str, Any] | None, max_tokens: int) -> dict[str, Any]:
        """The body of a request that uses only these capabilities."""
        body: dict[str, Any] = {"model": model, "messages": [dict(message) for message in messages]}
        body[self.completion_limit] = max_tokens + self.room
        if self.temperature:
            body["temperature"] = 0
        if schema is None:
            return body
        if self.output == "json_schema":
            name = _NOT_IN_NAMES.sub("_", str(schema.get("title", "")))[:64] or "answer"
            json_schema: dict[str, Any] = {"name": name, "schema": dict(schema) if self.bounded else unbounded(schema)}
            if _is_strict(schema):
                json_schema["strict"] = True
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
            return body
        if self.output == "json_object":
            body["response_format"] = {"type": "json_object"}
        body["messages"] = _with_schema(body["messages"], schema)
        return body


def first_capabilities(model: str) -> ProviderCapabilities:
    """The first guess, from the model's name."""
    bounded = not _OPENAI.search(model)
    if _REASONING.search(model):
        return ProviderCapabilities("max_completion_tokens", False, REASONING_TOKENS, bounded=bounded)
    return ProviderCapabilities(bounded=bounded)


def is_about_parameter(error: HTTPStatusError) -> bool:
    """Whether a refusal is certainly about a parameter. A bare 400 may be about anything."""
    return error.status != 400 or bool(error.param or _ABOUT_OUTPUT.search(error.message))


def next_capabilities(
    capabilities: ProviderCapabilities, error: HTTPStatusError, *, asks_for_json: bool
) -> ProviderCapabilities | None:
    """The capabilities to try after a refusal; None if the refusal is not about any of them."""
    sent_format = asks_for_json and capabilities.output != "text"
    if error.status in (400, 422) and not (sent_format and error.param.startswith("response_format")):
        if capabilities.temperature and error.names("temperature"):
            return replace(capabilities, temperature=False)
        if capabilities.completion_limit == "max_tokens" and error.names("max_tokens"):
            # Models that require the other name are those that reason.
            return replace(capabilities, completion_limit="max_completion_tokens", room=REASONING_TOKENS)
        if capabilities.completion_limit == "max_completion_tokens" and error.names("max_completion_tokens"):
            return replace(capabilities, completion_limit="max_tokens")
    about_format = error.status in _JSON_STATUSES or (error.status >= 500 and _ABOUT_FORMAT.search(error.message))
    if sent_format and about_format and not error.is_about_model():
        if capabilities.output == "json_schema" and capabilities.bounded and any(n in error.message for n in _LIMITS):
            return replace(capabilities, bounded=False)
        return replace(capabilities, output=_NEXT_OUTPUT[capabilities.output])
    return None


def _with_schema(messages: list[dict[str, str]], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """Adds the schema to the system message or, as some chat templates have none, to the last message."""
    place = next((i for i, message in enumerate(messages) if message.get("role") == "system"), len(messages) - 1)
    content = messages[place]["content"] + (
        "\n\nAnswer with one JSON value and nothing else: no explanation, no code fence. It must satisfy this JSON schema:\n"
        + json.dumps(schema, ensure_ascii=False)
    )
    return [*messages[:place], {**messages[place], "content": content}, *messages[place + 1 :]]


def unbounded(schema: Any) -> Any:
    """A schema without the limits of texts and lists. A property may have the name of a limit: its value is an object."""
    if isinstance(schema, Mapping):
        return {
            key: unbounded(value) for key, value in schema.items() if key not in _LIMITS or isinstance(value, Mapping)
        }
    return [unbounded(value) for value in schema] if isinstance(schema, list | tuple) else schema


def _is_strict(schema: Any) -> bool:
    """Whether a schema meets the conditions of OpenAI's strict mode: every object closed, every property required."""
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
