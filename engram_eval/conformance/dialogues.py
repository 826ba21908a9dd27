"""The dialogues that the checks use: generated small talk in which one turn, the needle, is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from engram_eval.datasets.synthetic.locomo_style import session_stream
from engram_eval.types import Context, Conversation, ConversationInfo, Session, Turn

FIRST_DAY = datetime(2021, 1, 8, 18, 30)


@dataclass(frozen=True, slots=True)
class Needle:
    """A turn that stands alone. `word` occurs in no other turn."""

    text: str
    question: str
    word: str

    def found_in(self, context: Context) -> bool:
        return self.word.lower() in context.text.lower()


PARROT = Needle(
    "I named my new parrot Zephyrine, after my grandmother.", "What is the name of the parrot?", "Zephyrine"
)
COTTAGE = Needle("The cottage that we rented is called Quillhaven.", "What is the name of the cottage?", "Quillhaven")


@dataclass(frozen=True, slots=True)
class Dialogue:
    conversation: Conversation
    needle: Needle

    @property
    def turns(self) -> dict[str, Turn]:
        return {turn.id: turn for session in self.conversation.sessions for turn in session.turns}

    @property
    def wide_question(self) -> str:
        """One that many turns match, the needle among them."""
        said = [session.turns[i].text for session in self.conversation.sessions for i in (3, 4)]
        return " ".join([self.needle.question, *said])

    @property
    def needle_turn(self) -> Turn:
        return next(turn for turn in self.turns.values() if turn.text == self.needle.text)

    @property
    def needle_session(self) -> Session:
        return next(session for session in self.conversation.sessions if self.needle_turn in session.turns)


@cache
def long_dialogue(needle: Needle, seed: int, *, needle_session: int = 1) -> Dialogue:
    """Six sessions of about twelve turns, some 2,000 tokens. Turn ids are `D1:1`, `D1:2`, … for each seed, as in LoCoMo."""
    sessions = []
    for index, session in enumerate(session_stream(seed=seed, sessions=6, turns_per_session=12)):
        turns = list(session.turns)
        if index == needle_session:
            turns.insert(len(turns) // 2, Turn("", turns[0].speaker, needle.text))
        sessions.append(_numbered(index, FIRST_DAY + timedelta(days=41 * index), turns))
    speakers = tuple(dict.fromkeys(turn.speaker for turn in sessions[0].turns))
    return Dialogue(Conversation(ConversationInfo(f"conversation-{seed}", speakers), tuple(sessions)), needle)


def first_dialogue() -> Dialogue:
    return long_dialogue(PARROT, 1)


def second_dialogue() -> Dialogue:
    return long_dialogue(COTTAGE, 2)


def short_dialogue(texts: Sequence[str], needle: Needle = PARROT, *, dated: bool = True) -> Dialogue:
    """Two sessions: one with these texts, and one that begins with the needle."""
    said = [[*texts], [needle.text, "How lovely!", "I have to go, see you soon."]]
    sessions = [
        _numbered(
            index,
            FIRST_DAY + timedelta(days=41 * index) if dated else None,
            [Turn("", ("Ann", "Bob")[i % 2], text) for i, text in enumerate(session)],
        )
        for index, session in enumerate(said)
    ]
    return Dialogue(Conversation(ConversationInfo("conversation-short", ("Ann", "Bob")), tuple(sessions)), needle)


def _numbered(index: int, started_at: datetime | None, turns: Sequence[Turn]) -> Session:
    name = f"D{index + 1}"
    return Session(name, started_at, tuple(replace(turn, id=f"{name}:{i}") for i, turn in enumerate(turns, start=1)))
