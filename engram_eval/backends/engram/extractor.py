"""The extractor: typed records with the paper's schema, made by rules from a turn and its types.

The text of such a record is the turn itself, without a paraphrase or a loss. The rules add the type, a title, and the
temporal anchor: when the event happened, read from the turn's words and the session's date. For extraction by a model, see
`llm_extraction`.
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
    """One entry of one typed memory."""

    type: MemoryType
    turn_ids: tuple[str, ...]
    """The turns that it comes from, in their order, at least one."""
    title: str
    text: str
    """The summary of an episodic record, the fact of a semantic one, the content of a procedural one."""
    anchor: tuple[date, date] | None
    """The first and the last day on which it happened or holds; the session's date if the turn names none."""
    verbatim: bool = True
    """Whether the text is that of the first turn in `turn_ids`."""

    @property
    def line(self) -> str:
        """The record in a context: a verbatim turn as it is, a model's record after its title."""
        return self.text if self.verbatim or not self.title else f"{self.title}: {self.text}"


def extract(session: Session) -> list[MemoryRecord]:
    """The records of a session by rules, in the order of its turns, at least one per turn."""
    return [record for turn in session.turns for record in extract_turn(turn, session)]


def extract_turn(turn: Turn, session: Session, types: frozenset[MemoryType] | None = None) -> list[MemoryRecord]:
    """The records of a turn by rules, one for each of `types`. Without `types`, the rules route the turn too."""
    session_date = session.started_at.date() if session.started_at else None
    spans = find_dates(turn.text, said_on=session_date) if session_date else []
    text = _with_resolved_dates(turn, spans)
    anchor = (spans[0].start, spans[0].end) if spans else (session_date, session_date) if session_date else None
    title = (sentences(turn.text) or [""])[0][:_TITLE_LENGTH]
    if types is None:
        types = route(turn.text, dated=bool(spans))
    return [MemoryRecord(kind, (turn.id,), title, text, anchor) for kind in MemoryType if kind in types]


def _with_resolved_dates(turn: Turn, spans: list[DateSpan]) -> str:
    """`Ann: I ran yesterday (= 7 May 2023)`, so that the reader does not have to calculate the date."""
    text, end = f"{turn.speaker}: ", 0
    for span in spans:
        if span.relative:
            text += turn.text[end : span.position[1]] + f" (= {format_span(span)})"
            end = span.position[1]
    return text + turn.text[end:]
