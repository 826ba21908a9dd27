"""Strict JSON from a model's text.

JSON inside prose is not extracted: JSON that the model only quotes (such as from the answer to grade) must never pass for the
model's own. Only white space and a code fence may surround the one JSON value, and a model's reasoning may precede it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import lru_cache
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

from engram_eval.language.reasoning import OnlyReasoning, without_reasoning

_FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(.*)\n?[ \t]*```", re.DOTALL)


class NotParsed(ValueError):  # noqa: N818
    """Why the text is not the JSON that was requested, in a few words."""


def parse_json(text: str, schema: str) -> Any:
    """The JSON value in `text`, if it satisfies `schema` (which is JSON text, too). Raises NotParsed."""
    if text.lstrip()[:1] in ("{", "["):  # a string in it may quote the marks of reasoning
        with suppress(NotParsed):
            return _validated(text, schema)
    try:
        return _validated(without_reasoning(text, leading=True), schema)
    except OnlyReasoning as error:
        raise NotParsed(str(error)) from None


def _validated(text: str, schema: str) -> Any:
    body = text.strip().removeprefix("\ufeff")
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
