"""A context that is JSON, whole or line by line: its objects as entries, whatever their keys are called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from engram_eval.language.dates import find_dates


@dataclass(frozen=True, slots=True)
class Entry:
    speaker: str | None
    said_on: date | None
    text: str


_WHEN = re.compile(r"date|time|created|updated|_at$|^when$", re.IGNORECASE)
_WHO = re.compile(r"^(?:speaker|role|author|from)$", re.IGNORECASE)
_NOT_SAID = re.compile(r"(?:^|_)(?:id|uuid|hash|type|categor(?:y|ies))$|Id$")


def entries(text: str) -> list[Entry] | None:
    """One entry an object or string, in order; None if the text is no JSON object or array."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return list(_walk(json.loads(text)))
    except (ValueError, RecursionError):
        return None


def _walk(value: Any) -> Iterator[Entry]:
    if isinstance(value, str) and value.strip():
        yield Entry(None, None, value)
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part)
    elif isinstance(value, dict):
        pairs = list(_strings(value))
        said_on = next((day for key, said in pairs if _WHEN.search(key) and (day := day_in(said))), None)
        speaker = next((said for key, said in pairs if _WHO.search(key)), None)
        said = [
            s
            for key, s in pairs
            if not (_WHEN.search(key) and day_in(s)) and not _WHO.search(key) and not _NOT_SAID.search(key)
        ]
        if said:
            yield Entry(speaker, said_on, "\n".join(said))
        for part in value.values():
            if isinstance(part, list):
                yield from _walk(part)


def _strings(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The strings of an object and of the objects in it, but not of lists, which hold entries of their own."""
    for key, part in value.items():
        if isinstance(part, str) and part.strip():
            yield key, part
        elif isinstance(part, dict):
            yield from _strings(part)


def day_in(text: str) -> date | None:
    """The first single day that a text names."""
    return next((span.start for span in find_dates(text, said_on=None) if span.start == span.end), None)
