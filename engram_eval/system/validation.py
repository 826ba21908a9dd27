"""Typed values from JSON, TOML and Python, checked by pydantic; the first fault becomes one plain sentence.

A type is a pydantic model, a dataclass, a TypedDict or anything else that a `TypeAdapter` takes. Types are checked strictly,
as JSON has them: "1" is no number and true is no integer, but 1 is a float, a list fills a tuple, and an ISO string a date.

A sentence names the place, the key and the value: `records.jsonl: line 3: 'f1' is 'abc', not a number; delete the line`.
A validator of your own raises ValueError with what follows the value: `ValueError("not a share such as '5%'")`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from engram_eval.errors import UserError
from engram_eval.system.file_format import not_utf8

if TYPE_CHECKING:  # pydantic takes 0.08 s to import: functions import it when they are called
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import ErrorDetails

T = TypeVar("T")
_LONGEST_VALUE = 40  # characters of a value in a message
_BARE_KEY = re.compile(r"[A-Za-z0-9_@-]+")


def validate(kind: type[T], values: Any, *, where: str, fix: str) -> T:
    """Makes a `kind` of Python values. `where` names their place and `fix` says what to do, both for the UserError."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        content = to_json(values, inf_nan_mode="constants")
    except PydanticSerializationError:  # an object that JSON does not have, or half of a surrogate pair
        return _validate_python(kind, values, where, fix)
    return validate_json(kind, content, where=where, fix=fix)


def validate_json(kind: type[T], content: bytes, *, where: str, fix: str) -> T:
    """Makes a `kind` of JSON in UTF-8, with or without a byte order mark. Raises UserError, as `validate` does."""
    from pydantic import ValidationError

    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        valid: T = _adapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        invalid = error
    else:
        return valid
    values = _parse_json(content, where, fix)
    if invalid.errors(include_url=False)[0]["type"] == "json_invalid":
        # Python's parser accepts what pydantic's does not: an escaped half of a surrogate pair, deep nesting.
        return _validate_python(kind, values, where, fix)
    raise UserError(f"{where}: {describe_fault(invalid, values)}; {fix}")


def validate_toml(kind: type[T], content: bytes, *, where: str, fix: str) -> T:
    """Makes a `kind` of TOML in UTF-8. Raises UserError, as `validate` does."""
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: byte {error.start + 1} is not UTF-8; {fix}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not TOML ({_first_line(error)}); {fix}") from None
    return validate(kind, values, where=where, fix=fix)


def describe_fault(error: ValidationError, values: Any) -> str:
    """The first fault in a few words, such as `'f1' is 'abc', not a number`. `values` is what was validated."""
    fault = error.errors(include_url=False)[0]
    keys = _keys(fault, values)
    name = "".join(_step(key) for key in keys).removeprefix(".")
    subject = f"'{name}'" if name else "the value"
    match fault["type"]:
        case "missing" | "missing_argument":
            return f"{subject} is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{subject} is not a known key"
    expectation = _expectation(fault)
    if fault["type"] in ("value_error", "assertion_error") and not isinstance(fault["input"], str | int | float | None):
        return f"{subject}: {expectation}" if name else expectation  # of an object or a list as a whole
    return f"{subject} is {_shown(fault['input'])}, {expectation}"


def _validate_python(kind: type[T], values: Any, where: str, fix: str) -> T:
    from pydantic import ValidationError

    try:
        valid: T = _adapter(kind).validate_python(values, strict=False)
    except ValidationError as error:
        raise UserError(f"{where}: {describe_fault(error, values)}; {fix}") from None
    return valid


_adapters: dict[Any, TypeAdapter[Any]] = {}  # they take milliseconds to make


def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _parse_json(content: bytes, where: str, fix: str) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: byte {error.start + 1} is {not_utf8(error)}; {fix}") from None
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if b"\n" in content.rstrip(b"\n") else ""
        raise UserError(f"{where}: {line}column {error.colno}: not JSON ({error.msg}); {fix}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or endless brackets
        raise UserError(f"{where}: not usable JSON ({_first_line(error)}); {fix}") from None


def _keys(fault: ErrorDetails, values: Any) -> list[str | int]:
    """The path to the faulty value. pydantic puts names of types between the keys, which no reader of the file knows."""
    keys: list[str | int] = []
    for place, part in enumerate(fault["loc"]):
        if _holds(values, part):
            values = values[part]
            keys.append(part)
        elif fault["type"] == "missing" and place == len(fault["loc"]) - 1:
            keys.append(part)
    return keys


def _holds(values: Any, key: str | int) -> bool:
    if isinstance(values, list | tuple):
        return isinstance(key, int) and key < len(values)
    return isinstance(values, Mapping) and key in values


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _BARE_KEY.fullmatch(key) else f'."{key}"'


_TYPES = {
    "string": "text", "int": "a whole number", "float": "a number", "decimal": "a number", "bool": "true or false",
    "list": "a list", "tuple": "a list", "set": "a list", "frozen_set": "a list", "dict": "an object",
    "model": "an object", "model_attributes": "an object", "dataclass": "an object", "mapping": "an object",
    "date": "a date", "datetime": "a date and time", "none_required": "null", "finite_number": "a finite number",
}  # fmt: skip


def _expectation(fault: ErrorDetails) -> str:
    """`not a number`, `not 0 or more`."""
    kind, limits = fault["type"], fault.get("ctx", {})
    match kind:
        case "literal_error" | "enum":
            return f"not {limits['expected']}"
        case "greater_than_equal":
            return f"not {limits['ge']:g} or more"
        case "greater_than":
            return f"not more than {limits['gt']:g}"
        case "less_than_equal":
            return f"not {limits['le']:g} or less"
        case "less_than":
            return f"not less than {limits['lt']:g}"
        case "too_short" | "string_too_short":
            return "too short"
        case "too_long" | "string_too_long":
            return "too long"
        case "value_error" | "assertion_error":
            return str(limits.get("error", fault["msg"]))
    base = re.sub(r"_(exact_type|type|parsing|parsing_size|from_float)$", "", kind).removesuffix("_from_date")
    return f"not {_TYPES[base]}" if base in _TYPES else fault["msg"][:1].lower() + fault["msg"][1:]


def _shown(value: Any) -> str:
    """A value as a message quotes it: whole if it is short."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no detail"])[0][:120]
