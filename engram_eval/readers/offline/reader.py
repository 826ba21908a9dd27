"""The offline reader: no key, no network, deterministic, about a millisecond per question.

It is extractive: it analyses the question (`question_analysis`), splits the context into passages and sentences (`passages`),
scores each sentence (`matching`), and takes a short answer from the best ones (`extraction`). It cannot infer: it only finds
an answer that is in the text, in or near a sentence with words of the question. It reads nothing but the context's text, so
that all memories are read in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from time import perf_counter

from engram_eval.readers.offline.extraction import extract
from engram_eval.readers.offline.matching import Match, Weights, match_sentences
from engram_eval.readers.offline.passages import CACHED_CONTEXTS, ROLES, SHORT, read_passages
from engram_eval.readers.offline.question_analysis import QuestionAnalysis, analyse_question
from engram_eval.services import RoleServices
from engram_eval.types import Answer, Context

NOT_MENTIONED = "Not mentioned in the conversation."
WEIGHTS = Weights()
# The best sentence must cover this share of the question in a context of a thousand sentences, less in a shorter context and
# more in a longer one: the more sentences there are, the better one of them matches by chance. Measured with an earlier
# version of this reader: from 0.2 to 0.4, accuracy with the full history falls from 0.52 to 0.48, and the share of unanswerable
# questions on which it abstains rises from 0.45 to 0.55; this is the middle. In a context of at most `SHORT` sentences, two or
# three turns, it need not match at all: so short a context was chosen for the question, and an answer seldom repeats the
# question's words.
LEAST_COVER = 0.3
# The best sentence by or to the person in the question must match at least this share as well as the best sentence of all;
# otherwise the question names the wrong person. At 0.9, 0.94 and 0.97 it abstains on 29, 48 and 54 % of such questions and
# answers 54.1, 53.4 and 52.8 % of the others correctly, with `engram`'s contexts of 916 tokens: this is the middle.
SAME_PERSON = 0.94
CANDIDATES = 30  # sentences that can give the answer


class OfflineReader:
    """`count_tokens` counts in the answer model's encoding; the prompt is the context and the question."""

    name = "offline"
    model = "offline"
    window = 128_000

    def __init__(self, count_tokens: Callable[[str], int]) -> None:
        self._count_tokens = count_tokens
        self._count_context = lru_cache(maxsize=CACHED_CONTEXTS)(count_tokens)

    async def answer(self, question: str, *, asked_at: datetime | None, context: Context) -> Answer:
        # Parsed contexts and passages are cached, so the time that it took to parse them the first time is added: otherwise
        # the full history, which all questions of a conversation share, would look fast.
        read_s = read_passages(context.text).read_s
        started = perf_counter()
        text = read(question, context.text, asked_at.date() if asked_at else None)
        latency_s = read_s + perf_counter() - started
        prompt_tokens = self._count_context(context.text) + self._count_tokens(question)
        return Answer(text, prompt_tokens, self._count_tokens(text), latency_s=latency_s)


def read(question: str, context: str, asked_on: date | None = None, weights: Weights = WEIGHTS) -> str:
    """The short answer to a question from a context's text, or `NOT_MENTIONED`. `asked_on` resolves its "last week"."""
    passages = read_passages(context)
    analysis = analyse_question(question, passages.speakers, asked_on)
    match = match_sentences(analysis, passages, weights)
    best = match.best(CANDIDATES)
    if not analysis.stems or not best or match.cover[best[0]] < _least_cover(analysis, len(passages.sentences)):
        return NOT_MENTIONED
    if _is_about_another_person(analysis, match):
        return NOT_MENTIONED
    return extract(analysis, passages, match, best) or NOT_MENTIONED


def _least_cover(question: QuestionAnalysis, sentences: int) -> float:
    if question.hypothetical:  # no sentence says what would be: any sentence on the topic is enough
        return 0.0
    return max(0.0, LEAST_COVER * math.log(sentences / SHORT) / math.log(1_000 / SHORT))


def _is_about_another_person(question: QuestionAnalysis, match: Match) -> bool:
    """Is the best match about another person than the one that the question names?

    Not checked for a user and an assistant, who talk about the same things.
    """
    if len(question.subjects) != 1 or question.subjects[0].lower() in ROLES:
        return False
    about_subject = match.about >= WEIGHTS.addresses_listener
    best_of_subject = match.cover[about_subject].max(initial=0.0)
    return not about_subject.any() or bool(best_of_subject < SAME_PERSON * match.cover.max())


def make_offline_reader(services: RoleServices) -> OfflineReader:
    return OfflineReader(services.tokens.count)
