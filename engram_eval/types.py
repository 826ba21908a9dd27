"""The vocabulary: every value that passes from one stage to the next.

Data flows down this page: a `Sample` of a dataset holds one `Conversation` and its `Question`s; a memory backend
ingests the conversation's `Session`s and recalls a `Context`; a reader turns it into an `Answer`; a judge into a
`Verdict`; and all of it together is one `Record`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance. `text` holds everything that was said or shown, captions of shared images included."""

    id: str
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Session:
    """Turns at one time, in the order in which they were said. `started_at` is None where the data has no date."""

    id: str
    started_at: datetime | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """What a memory is told when it opens: whose conversation it is, and nothing of what will be asked."""

    id: str
    speakers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Sessions in time order. Turn ids are unique within a conversation."""

    info: ConversationInfo
    sessions: tuple[Session, ...]

    @property
    def id(self) -> str:
        return self.info.id


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold answer and labels; no memory but the oracle ever sees one.

    `evidence` holds ids of the turns that hold the answer, `evidence_sessions` ids of their sessions, both as the
    conversation names them. `gold` of an unanswerable question says why it is unanswerable, or is empty.
    """

    id: str
    conversation_id: str
    text: str
    gold: str
    category: str
    asked_at: datetime | None
    evidence: tuple[str, ...]
    evidence_sessions: tuple[str, ...]
    unanswerable: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation and the questions that are asked about it."""

    conversation: Conversation
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a memory recalled: the turns it comes from, how well it matched, and its memory type, if any."""

    turn_ids: tuple[str, ...]
    score: float
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What the reader is handed: the text, and behind it the items that stand in it, best first.

    `truncated` says that something was recalled but had to be left out for want of room; `left_out` holds the ids of
    the turns that were, if the memory can tell.
    """

    text: str
    items: tuple[Item, ...] = ()
    truncated: bool = False
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reader said. Tokens are in the answer model's encoding; `prompt_tokens` counts all that it was sent.

    `latency_s` is how long it took, or had taken when it was cached, without waiting for limits or retries; None for as
    long as the call took. `cost_usd` is None where nobody knows it.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None = 0.0
    cached: bool = False
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge said. `votes` are the single verdicts of which `correct` is the majority; `reason` is for people.

    `latency_s` as an answer's; `cost_usd` is what the judging cost, and is never counted with the answer's.
    """

    correct: bool
    votes: tuple[bool, ...]
    reason: str
    cost_usd: float | None = 0.0
    latency_s: float | None = None
