"""The offline reader: no key, no network, deterministic, about a millisecond a question.

It extracts: analyses the question, scores the sentences of the context against it, and cuts the short answer out of the
best. What it cannot do is infer: an answer that does not stand in the text in the words of the question or beside them is
not found. It reads the text of the context alone, so that every memory is read alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from time import perf_counter

from engram_eval.readers.offline.extraction import extract
from engram_eval.readers.offline.matching import Match, Weights, match
from engram_eval.readers.offline.passages import CACHED_CONTEXTS, ROLES, read_passages
from engram_eval.readers.offline.question import Asked, analyse
from engram_eval.services import RoleServices
from engram_eval.types import Answer, Context

NOT_MENTIONED = "Not mentioned in the conversation."
WEIGHTS = Weights()
# An answer's sentence must cover this share of the question in a context of a thousand sentences, less in a shorter one and
# more in a longer: the more there are, the better one of them matches by chance. From 0.2 to 0.4 the share right with the
# full history falls from 0.52 to 0.48, the share that abstains where it should rises from 0.45 to 0.55: the middle.
LEAST_COVER = 0.3
# What is said by or to the person asked about must match at least so well, measured by the best match of all; if it does
# not, the question has the wrong person. At 0.85, 0.9, 0.95 it abstains from 41, 49, 56 in a hundred such questions and
# answers 51.7, 51.0, 50.0 of the others right: the middle again.
SAME_PERSON = 0.9
CANDIDATES = 30  # sentences that are looked at closely


class OfflineReader:
    """`count_tokens` counts as the answer model would; a prompt is the context and the question."""

    name = "offline"
    model = "offline"
    window = 128_000

    def __init__(self, count_tokens: Callable[[str], int]) -> None:
        self._count_tokens = count_tokens
        self._count_context = lru_cache(maxsize=CACHED_CONTEXTS)(count_tokens)

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer:
        reading_s = _seconds_to_read(context.text)
        started = perf_counter()
        text = read(question, context.text, asked_at.date() if asked_at else None)
        latency_s = reading_s + perf_counter() - started
        prompt_tokens = self._count_context(context.text) + self._count_tokens(question)
        return Answer(text, prompt_tokens, self._count_tokens(text), latency_s=latency_s)


@lru_cache(maxsize=CACHED_CONTEXTS)
def _seconds_to_read(text: str) -> float:
    """What it took to read a context the first time: owed by every question that finds it read already, so that the full
    history, which is the same for all questions of a conversation, does not look quick."""
    started = perf_counter()
    read_passages(text)
    return perf_counter() - started


def read(question: str, context: str, asked_on: date | None = None) -> str:
    """The short answer to a question from a context's text, or `NOT_MENTIONED`. `asked_on` resolves its "last week"."""
    passages = read_passages(context)
    asked = analyse(question, passages.speakers, asked_on)
    found = match(asked, passages, WEIGHTS)
    best = found.best(CANDIDATES)
    if not best or found.cover[best[0]] < _least_cover(asked, len(passages.sentences)) or _of_another(asked, found):
        return NOT_MENTIONED
    return extract(asked, passages, found, best) or NOT_MENTIONED


def _least_cover(asked: Asked, sentences: int) -> float:
    if asked.hypothetical:  # what would be is never said: what bears on it has to do
        return 0.0
    return LEAST_COVER * math.log1p(sentences) / math.log1p(1_000)


def _of_another(asked: Asked, found: Match) -> bool:
    """Is what the question tells of told of another person than the one that it names? A user and an assistant share one
    matter, and are not confused."""
    if len(asked.subjects) != 1 or asked.subjects[0].lower() in ROLES:
        return False
    theirs = found.cover[found.about >= WEIGHTS.to_you].max(initial=0.0)
    return bool(theirs < SAME_PERSON * found.cover.max())


def make_offline_reader(services: RoleServices) -> OfflineReader:
    return OfflineReader(services.tokens.count)
