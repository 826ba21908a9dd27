"""The lines of a bundle: a header, and one type of line for each table of the response cache.

A line's fields are the columns of its table, in their order; those with a default may be missing. Keys are written in hex and
vectors in base64.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from engram_eval.llm.cache.response_cache import PUT_RESPONSE, PUT_VECTOR

VERSION = 1
_KEY = re.compile(r"[0-9a-f]{40}")
_ABSURD = 10**12  # tokens or seconds; above it, SQLite and dates fail


def read_key(text: Any) -> bytes:
    """A cache key from its hex digits. Raises ValueError for anything else."""
    if not isinstance(text, str) or not _KEY.fullmatch(text):
        raise ValueError("not a cache key in hex")
    return bytes.fromhex(text)


def _read_vector(text: Any) -> bytes:
    try:
        vector = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
    except (ValueError, TypeError):
        vector = np.zeros(0, "<f4")
    if not len(vector) or not np.isfinite(vector).all():
        raise ValueError("not finite 32-bit floats in base64")
    return vector.astype(np.float32).tobytes()


def _vector_text(blob: bytes) -> str:
    return base64.b64encode(np.frombuffer(blob, np.float32).astype("<f4").tobytes()).decode()


def _require_encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which SQLite does not take
        raise ValueError("not text that UTF-8 can encode") from None
    return text


_Key = Annotated[bytes, PlainValidator(read_key)]
_Vector = Annotated[bytes, PlainValidator(_read_vector)]
_Text = Annotated[str, AfterValidator(_require_encodable)]
_Count = Annotated[int, Field(ge=0, lt=_ABSURD)]
_Seconds = Annotated[float, Field(ge=0, lt=_ABSURD)]


class FormatVersion(BaseModel):
    """What the headers of all versions hold."""

    engram_eval_cache: int


class Header(FormatVersion):
    """The first line: how many lines of each type follow."""

    answers: _Count
    embeddings: _Count


class Entry(BaseModel):
    """A line of the cache. `table` and `put`: where it is kept, and the statement that adds its row."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)
    table: ClassVar[str]
    put: ClassVar[str]

    key: _Key

    def row(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in type(self).model_fields)


class AnswerEntry(Entry):
    table = "responses"
    put = PUT_RESPONSE

    text: _Text
    finish_reason: _Text
    prompt_tokens: _Count
    cached_prompt_tokens: _Count
    completion_tokens: _Count
    latency_s: _Seconds
    endpoint: _Text
    model: _Text
    created: _Seconds
    served_model: _Text = ""
    first_token_s: _Seconds | None = None


class EmbeddingEntry(Entry):
    table = "vectors"
    put = PUT_VECTOR

    vector: _Vector
    prompt_tokens: _Count
    latency_s: _Seconds
    endpoint: _Text
    model: _Text
    created: _Seconds


ENTRY_TYPES: tuple[type[Entry], ...] = (AnswerEntry, EmbeddingEntry)  # in the order of the file


def header_line(answers: int, embeddings: int) -> bytes:
    return _line({"engram_eval_cache": VERSION, "answers": answers, "embeddings": embeddings})


def entry_line(kind: type[Entry], columns: Sequence[str], row: Sequence[Any]) -> bytes:
    """A row of the table as a line, without what has its default. The cache wrote the row: it is not validated again."""
    fields = kind.model_fields
    values = {
        name: value
        for name, value in zip(columns, row, strict=True)
        if fields[name].is_required() or value != fields[name].default
    }
    values["key"] = values["key"].hex()
    if "vector" in values:
        values["vector"] = _vector_text(values["vector"])
    return _line(values)


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
