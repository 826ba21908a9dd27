"""Validated values, and the one sentence about the first fault."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from engram_eval.errors import UserError
from engram_eval.system.validation import validate, validate_json, validate_toml


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: str
    f1: Annotated[float, Field(ge=0)] | None = None
    votes: tuple[int, ...] = ()
    status: Literal["ok", "error"] = "ok"
    day: datetime.date | None = None
    margin: int | str = 0
    parts: dict[str, Entry] = {}

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        if " " in value:
            raise ValueError("not one word")
        return value


@dataclass(frozen=True, slots=True)
class Plain:
    name: str
    counts: list[int] = field(default_factory=list)


def _fault(values: Any) -> str:
    with pytest.raises(UserError) as caught:
        validate(Entry, values, where="x.json: line 3", fix="fix it")
    message = str(caught.value)
    assert message.startswith("x.json: line 3: ")
    assert message.endswith("; fix it")
    return message.removeprefix("x.json: line 3: ").removesuffix("; fix it")


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({}, "'id' is missing"),
        ({"id": 3}, "'id' is 3, not text"),
        ({"id": "a b"}, "'id' is 'a b', not one word"),
        ({"id": "a", "f1": "abc"}, "'f1' is 'abc', not a number"),
        ({"id": "a", "f1": "1"}, "'f1' is '1', not a number"),
        ({"id": "a", "f1": True}, "'f1' is true, not a number"),
        ({"id": "a", "f1": -1}, "'f1' is -1, not 0 or more"),
        ({"id": "a", "f1": float("nan")}, "'f1' is nan, not a finite number"),
        ({"id": "a", "votes": [1, 2.5]}, "'votes[1]' is 2.5, not a whole number"),
        ({"id": "a", "votes": None}, "'votes' is null, not a list"),
        ({"id": "a", "status": "bad"}, "'status' is 'bad', not 'ok' or 'error'"),
        ({"id": "a", "other": 1}, "'other' is not a known key"),
        ({"id": "a", "margin": []}, "'margin' is a list, not a whole number"),
        ({"id": "a", "parts": {"gpt-4.1": {"id": None}}}, "'parts.\"gpt-4.1\".id' is null, not text"),
        ({"id": "a", "parts": {"b": {}}}, "'parts.b.id' is missing"),
        ({"id": "a", "parts": {"b": []}}, "'parts.b' is a list, not an object"),
        ([], "the value is a list, not an object"),
        ("x" * 100, f"the value is 'x{'x' * 35}..., not an object"),
    ],
)
def test_the_first_fault_is_named_by_key_and_value(values: Any, fault: str) -> None:
    assert _fault(values) == fault


def test_json_types_are_converted_to_python_types() -> None:
    entry = validate_json(
        Entry, b'\xef\xbb\xbf{"id": "a", "f1": 1, "votes": [1], "day": "2024-05-06"}', where="f", fix="fix it"
    )
    assert entry == Entry(id="a", f1=1.0, votes=(1,), day=datetime.date(2024, 5, 6))
    assert validate(Plain, {"name": "a", "counts": [1]}, where="f", fix="fix it") == Plain("a", [1])
    assert validate_toml(Entry, b'id = "a"\nday = 2024-05-06', where="f", fix="fix it").day == entry.day


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "column 1: not JSON (Expecting value)"),
        (b'{"id": ', "column 8: not JSON (Expecting value)"),
        (b'{"id": 1,\n\n}', "line 3, column 1: not JSON (Expecting property name enclosed in double quotes)"),
        (b'{"id": "\xff"}', "byte 9 is not UTF-8"),
    ],
)
def test_a_fault_of_syntax_is_named_by_its_place(content: bytes, fault: str) -> None:
    with pytest.raises(UserError) as caught:
        validate_json(Entry, content, where="f", fix="fix it")
    assert str(caught.value) == f"f: {fault}; fix it"


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"id": ' + b"9" * 5000 + b"}"])
def test_json_that_no_parser_takes_is_one_sentence(content: bytes) -> None:
    with pytest.raises(UserError, match=r"f: .*; fix it"):
        validate_json(Entry, content, where="f", fix="fix it")


def test_half_of_a_surrogate_pair_is_kept() -> None:
    assert validate_json(Plain, b'{"name": "\\udcff"}', where="f", fix="fix it") == Plain("\udcff")
    assert validate(Plain, {"name": "\udcff"}, where="f", fix="fix it") == Plain("\udcff")


def test_a_fault_of_toml_is_named() -> None:
    with pytest.raises(UserError, match=r"f: not TOML \(Invalid value .*\); fix it"):
        validate_toml(Entry, b"id = ", where="f", fix="fix it")
    with pytest.raises(UserError, match="f: byte 1 is not UTF-8; fix it"):
        validate_toml(Entry, b"\xff", where="f", fix="fix it")


def test_half_of_a_surrogate_pair_is_kept_in_a_strict_model_with_parts() -> None:
    class Outer(BaseModel):
        model_config = ConfigDict(strict=True)

        parts: tuple[Plain, ...]

    outer = validate_json(Outer, b'{"parts": [{"name": "\\udcff"}]}', where="f", fix="fix it")
    assert outer.parts == (Plain("\udcff"),)
