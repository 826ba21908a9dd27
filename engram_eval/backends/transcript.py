"""Turns as text: one rendering for all memories that keep turns verbatim, and the filling of a token budget.

    [8 May 2023]
    Caroline: I went to a support group yesterday.
    Melanie: How was it?

A session's date stands once, above its turns; turns stand in time order, whatever their rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from engram_eval.language.tokens import TokenCounter
from engram_eval.types import Context, Item, Session


@dataclass(frozen=True, slots=True)
class Line:
    """A turn as it is rendered. `tokens` counts it with its line break."""

    turn_id: str
    speaker: str
    text: str
    session: int
    tokens: int


class Transcript:
    """The turns of one conversation in order, with what each costs."""

    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._dates: list[str] = []
        self._date_tokens: list[int] = []
        self._session_ids: set[str] = set()
        self.lines: list[Line] = []

    def add(self, session: Session) -> bool:
        """Appends a session's turns; False if it is already there."""
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
        out, session = [], -1
        for i in sorted(chosen):
            line = self.lines[i]
            if line.session != session:
                session = line.session
                if self._dates[session]:
                    out.append(self._dates[session])
            out.append(line.text)
        return "\n".join(out)

    def fill(self, ranked: Sequence[int], budget: int | None) -> tuple[list[int], bool]:
        """Takes lines in rank order while they fit the budget; one that does not fit is passed over for the next.

        Returns the indices taken, best first, and whether any was passed over. The sum of the lines' costs is close to
        the cost of the rendered text, not equal to it: the text itself is counted at the end, and lines are given
        back, worst first, until it fits.
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
        """The context for lines in rank order with the scores of all lines."""
        taken, truncated = self.fill(ranked, budget)
        items = tuple(Item((self.lines[i].turn_id,), float(scores[i])) for i in taken)
        kept = set(taken)
        left_out = tuple(self.lines[i].turn_id for i in ranked if i not in kept) if truncated else ()
        return Context(self.render(taken), items, truncated, left_out)


def date_header(when: datetime | None) -> str:
    """`[8 May 2023]`, or nothing for a session without a date."""
    return f"[{when.day} {when:%B} {when.year}]" if when else ""
