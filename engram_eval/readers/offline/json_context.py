"""Reads a context that is JSON, as a whole or line by line. Each object becomes an entry, whatever its keys are."""

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
    """The text of one object or string, with its speaker and date if the object names them."""

    speaker: str | None
    said_on: date | None
    text: str


_DATE_KEY = re.compile(r"date|time|created|updated|_at$|^when$", re.IGNORECASE)
_SPEAKER_KEY = re.compile(r"^(?:speaker|role|author|from)$", re.IGNORECASE)
_METADATA_KEY = re.compile(r"(?:^|_)(?:id|uuid|hash|type|categor(?:y|ies))$|Id$")


def entries(text: str) -> list[Entry] | None:
    """One entry per object or string, in order; None if the text is not a JSON object or array."""
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
        said_on = next((day for key, text in pairs if _DATE_KEY.search(key) and (day := day_in(text))), None)
        speaker = next((text for key, text in pairs if _SPEAKER_KEY.search(key)), None)
        texts = [
            text
            for key, text in pairs
            if not (_DATE_KEY.search(key) and day_in(text))
            and not _SPEAKER_KEY.search(key)
            and not _METADATA_KEY.search(key)
        ]
        if texts:
            yield Entry(speaker, said_on, "\n".join(texts))
        for part in value.values():
            if isinstance(part, list):
                yield from _walk(part)


def _strings(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The strings of an object and of its nested objects, but not of its lists: those hold entries of their own."""
    for key, part in value.items():
        if isinstance(part, str) and part.strip():
            yield key, part
        elif isinstance(part, dict):
            yield from _strings(part)


def day_in(text: str) -> date | None:
    """The first date in the text that is a single day."""
    return next((span.start for span in find_dates(text, said_on=None) if span.start == span.end), None)
