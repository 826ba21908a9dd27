"""The extractor: typed records with a normalised schema, made from a turn and its mask.

By rules, the text of a record is the turn itself: nothing is paraphrased and nothing is lost. What the rules add is
the type, a title, and the temporal anchor: when the event happened, read from the words and the session's date. For the
extractor by a model see `by_model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from engram_eval.backends.engram.router import MemoryType, route
from engram_eval.language.dates import DateSpan, find_dates, format_span
from engram_eval.language.words import sentences
from engram_eval.types import Session, Turn

_TITLE_LENGTH = 80


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """One entry of one typed memory.

    `text` is an episodic record's summary, a semantic record's fact, a procedural record's content. `anchor` is the
    span of days, both ends included, in which what it tells of happened or holds; without a better one, the session's.
    `turn_ids`: the turns that it comes from, in their order, at least one. `verbatim`: the text is that turn's own.
    """

    type: MemoryType
    turn_ids: tuple[str, ...]
    title: str
    text: str
    anchor: tuple[date, date] | None
    verbatim: bool = True

    @property
    def line(self) -> str:
        """As it stands in a context: a turn as it was said, a model's record with its title."""
        return self.text if self.verbatim or not self.title else f"{self.title}: {self.text}"


def extract(session: Session) -> list[MemoryRecord]:
    """The records of a session by rules, in the order of its turns, at least one a turn."""
    return [record for turn in session.turns for record in extract_turn(turn, session)]


def extract_turn(turn: Turn, session: Session, mask: frozenset[MemoryType] | None = None) -> list[MemoryRecord]:
    """The records of a turn by rules, one for each type in its mask; without one, the rules route too."""
    said_on = session.started_at.date() if session.started_at else None
    spans = find_dates(turn.text, said_on=said_on) if said_on else []
    text = _resolved(turn, spans)
    anchor = (spans[0].start, spans[0].end) if spans else (said_on, said_on) if said_on else None
    title = (sentences(turn.text) or [""])[0][:_TITLE_LENGTH]
    types = route(turn.text, dated=bool(spans)) if mask is None else mask
    return [MemoryRecord(kind, (turn.id,), title, text, anchor) for kind in MemoryType if kind in types]


def _resolved(turn: Turn, spans: list[DateSpan]) -> str:
    """`Ann: I ran yesterday (= 7 May 2023)`: a reader need not do the sum again."""
    text, end = f"{turn.speaker}: ", 0
    for span in spans:
        if span.relative:
            text += turn.text[end : span.position[1]] + f" (= {format_span(span)})"
            end = span.position[1]
    return text + turn.text[end:]
