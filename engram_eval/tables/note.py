"""A note under the tables. Programs use its kind, people read its text, so the text can be reworded freely."""

from __future__ import annotations

from typing import NamedTuple


class Note(NamedTuple):
    kind: str
    text: str
