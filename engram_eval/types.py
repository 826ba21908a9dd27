"""The vocabulary: every value that passes from one stage to the next.

Data flows down this page. A dataset's `Sample` holds one `Conversation` and its `Question`s. A memory backend ingests the
conversation's `Session`s and retrieves a `Context`. A reader turns the context into an `Answer`, and a judge grades the
answer with a `Verdict`. All of it together becomes one `Record` (results/record.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance. `text` is everything that was said or shown, including captions of shared images."""

    id: str
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Session:
    """Turns at one time, in the order in which they were said. `started_at` is None if the data has no date."""

    id: str
    started_at: datetime | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """What a memory knows when it opens: whose conversation it is, and nothing about the questions."""

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
    """A question with its gold answer and labels. No memory except the oracle control ever sees one.

    `evidence`: ids of the turns that hold the answer; `evidence_sessions`: ids of their sessions. The `gold` of an
    unanswerable question says why there is no answer, or is empty.
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
    """One conversation and the questions about it."""

    conversation: Conversation
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a memory retrieved: the turns it comes from, how well it matched, and its memory type, if any."""

    turn_ids: tuple[str, ...]
    score: float
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a memory found, for the run to pack into the budget and to render (backends/packing.py).

    `text` is what the reader sees, with the speaker if it matters; `turn_ids` are the turns that it comes from, if the memory
    knows them. A higher `score` is better. `date`: when it was said, or when it happened, as the memory has it.
    """

    text: str
    turn_ids: tuple[str, ...] = ()
    score: float = 0.0
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What the reader gets: the text, and the items that it is made of, best first.

    `truncated`: something was retrieved but left out to fit the budget; `left_out`: the ids of those turns, best first, if
    the memory knows them.
    """

    text: str
    items: tuple[Item, ...] = ()
    truncated: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def turn_ids(self) -> tuple[str, ...]:
        """The distinct turns that the items name, best first."""
        return tuple(dict.fromkeys(turn_id for item in self.items for turn_id in item.turn_ids))


@dataclass(frozen=True, slots=True)
class Answer:
    """A reader's answer. Tokens are counted in the answer model's encoding; `prompt_tokens` counts everything it was sent.

    `latency_s`: seconds that the answer took, or had taken when it was cached, without waiting for rate limits or retries;
    None means the duration of the call. `cost_usd`: US dollars, None if the price is unknown. `first_token_s`: seconds until
    the first token, if the server tells. `server_cached_tokens`: of the prompt, what the server had in its own cache.
    `reasoning_removed`: whether the reply held reasoning, which is no part of the answer.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None = 0.0
    cached: bool = False
    latency_s: float | None = None
    first_token_s: float | None = None
    server_cached_tokens: int = 0
    reasoning_removed: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's verdict. `correct` is the majority of `votes`; `reason` is for people.

    `latency_s` as for an answer; `cost_usd` is the cost of judging, which is never added to the cost of the answer.
    """

    correct: bool
    votes: tuple[bool, ...]
    reason: str
    cost_usd: float | None = 0.0
    latency_s: float | None = None
