"""Turns as text: how memories that keep turns verbatim render them and fill a token budget.

    [8 May 2023]
    Caroline: I went to a support group yesterday.
    Melanie: How was it?

The date of a session is printed once, above its turns. Turns are in time order, whatever their rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from engram_eval.language.tokens import TokenCounter
from engram_eval.types import Context, Item, Session


@dataclass(frozen=True, slots=True)
class Line:
    """A turn as it is rendered."""

    turn_id: str
    speaker: str
    text: str
    session: int
    """The session's position in the transcript, from 0."""
    tokens: int
    """The tokens of the text with its line break."""


class Transcript:
    """The turns of one conversation in time order, with the token count of each."""

    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._dates: list[str] = []
        self._date_tokens: list[int] = []
        self._session_ids: set[str] = set()
        self.lines: list[Line] = []

    def add(self, session: Session) -> bool:
        """Appends a session's turns. Returns False, and adds nothing, if the session is already present."""
        if session.id in self._session_ids:
            return False
        self._session_ids.add(session.id)
        header = date_header(session.started_at)
        self._dates.append(header)
        self._date_tokens.append(self._tokens.count(header + "\n") if header else 0)
        for turn in session.turns:
            text = f"{turn.speaker}: {turn.text}"
            cost = self._tokens.count(text + "\n")
            self.lines.append(Line(turn.id, turn.speaker, text, len(self._dates) - 1, cost))
        return True

    def render(self, chosen: Iterable[int]) -> str:
        """The text of the lines with these indices, in time order and with dates."""
        rendered, session = [], -1
        for i in sorted(chosen):
            line = self.lines[i]
            if line.session != session:
                session = line.session
                if self._dates[session]:
                    rendered.append(self._dates[session])
            rendered.append(line.text)
        return "\n".join(rendered)

    def fill(self, ranked: Sequence[int], budget: int | None) -> tuple[list[int], bool]:
        """Takes lines in rank order while they fit the budget. A line that does not fit is skipped and the next one tried.

        Returns the indices taken, best first, and whether any was skipped. The tokens of the lines add up nearly, but not
        exactly, to the tokens of the rendered text. So the text is counted at the end, and the worst lines are removed
        until it fits.
        """
        if budget is None:
            return list(ranked), False
        taken, sessions, used = [], set(), 0
        for i in ranked:
            line = self.lines[i]
            cost = line.tokens + (0 if line.session in sessions else self._date_tokens[line.session])
            if used + cost > budget + 1:  # the last line has no line break
                continue
            taken.append(i)
            sessions.add(line.session)
            used += cost
        while taken and self._tokens.count(self.render(taken)) > budget:
            taken.pop()
        return taken, len(taken) < len(ranked)

    def context(self, ranked: Sequence[int], scores: Sequence[float], budget: int | None) -> Context:
        """The context of the lines in `ranked` (best first) that fit the budget. `scores` has one score for every line."""
        taken, truncated = self.fill(ranked, budget)
        items = tuple(Item((self.lines[i].turn_id,), float(scores[i])) for i in taken)
        kept = set(taken)
        left_out = tuple(self.lines[i].turn_id for i in ranked if i not in kept) if truncated else ()
        return Context(self.render(taken), items, truncated, left_out)


def date_header(when: datetime | None) -> str:
    """`[8 May 2023]`, or an empty string for a session without a date."""
    return f"[{when.day} {when:%B} {when.year}]" if when else ""
