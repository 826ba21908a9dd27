"""Strict JSON from a model's text.

JSON inside prose is not extracted: JSON that the model only quotes (such as from the answer to grade) must never pass for the
model's own. Only white space, a code fence and a reasoning model's thoughts may surround the one JSON value.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

_THOUGHTS = re.compile(r"\s*<think>.*?(?:</think>\s*|\Z)", re.DOTALL)
_FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(.*)\n?[ \t]*```", re.DOTALL)


class NotParsed(ValueError):  # noqa: N818
    """Why the text is not the JSON that was requested, in a few words."""


def without_thoughts(text: str) -> str:
    """The text after a leading <think> block, which some local servers leave in; empty if the block never ends."""
    match = _THOUGHTS.match(text)
    return text[match.end() :] if match else text


def parse_json(text: str, schema: str) -> Any:
    """The JSON value in `text`, if it satisfies `schema` (which is JSON text, too). Raises NotParsed."""
    body = without_thoughts(text).strip().removeprefix("\ufeff")
    if fenced := _FENCED.fullmatch(body):
        body = fenced[1]
    try:
        value = json.loads(body, object_pairs_hook=_object, parse_constant=_no_constant)
    except NotParsed:
        raise
    except RecursionError:
        raise NotParsed("nested too deeply") from None
    except ValueError as error:  # also an integer of too many digits
        raise NotParsed(f"not one JSON value: {error}") from None
    if "\\u" in body:  # an escaped half of a surrogate pair, which no file or request can carry
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    try:
        violation = next(_validator(schema).iter_errors(value), None)
    except RecursionError:
        raise NotParsed("nested too deeply") from None
    if violation is not None:
        raise NotParsed(f"does not satisfy the schema at {violation.json_path}: {_brief(violation.message)}")
    return value


@lru_cache(maxsize=64)
def _validator(schema: str) -> Validator:
    parsed = json.loads(schema)
    return jsonschema.validators.validator_for(parsed, jsonschema.Draft202012Validator)(parsed)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise NotParsed("a key occurs twice in one object")
    return values


def _no_constant(name: str) -> None:
    raise NotParsed(f"{name} is not JSON")


def _brief(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
