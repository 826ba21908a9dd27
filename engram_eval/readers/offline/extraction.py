"""The short answer, taken out of the sentences that match best, in a way of its own for each kind of question.

A phrase of the kind asked for is taken from the best sentence that holds one, unless a sentence without one matches far
better. Where there is none, and where no kind is asked for, the answer is what the best sentence and its neighbours say,
cut to `MAX_WORDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date

import numpy as np

from engram_eval.language.dates import DateSpan, format_span
from engram_eval.language.words import words
from engram_eval.readers.offline import phrases
from engram_eval.readers.offline.clauses import clause
from engram_eval.readers.offline.matching import Match
from engram_eval.readers.offline.passages import Passage, Passages
from engram_eval.readers.offline.question import Asked
from engram_eval.readers.offline.stems import base_stem, content

MAX_WORDS = 25  # about the length of an LLM's answer: a longer one would win a lexical judge over by bulk
# First guesses in round numbers, and left so, but for `FULL` (4, 6, 8 and 10 were tried; it is worth a point): half or
# twice of any changes the share right on the development conversations by less than two points, whatever the context.
HOLDS, TURN_HOLDS = 0.5, 0.25  # how much more a sentence counts that holds what is asked for, or beside which it stands
NEW_WORDS = 0.3  # the same for one that says what the question does not, in full from `FULL` content words on
FULL = 4
ASKS, CAPTION = 0.5, 0.5  # how much a question or an image's caption is worth as an answer
REACH = 3  # sentences on either side in the same turn that may hold the answer: a turn may be a page long
LIST_DEPTH = 0.7  # a list takes in the turns that score at least so much of the best ...
LIST_LENGTH = 3  # ... at most so many
NAMES_DEPTH, NAMES_LENGTH = 0.5, 6  # names are short and wrong ones rare: more of them
JUST_NOW = 0.4  # what a match must cover for "when" to be answered by the day it was said


def extract(asked: Asked, context: Passages, found: Match, best: Sequence[int]) -> str:
    """The answer to a question from the sentences `best`, best first; empty if there is none to give."""
    return _Extraction(asked, context, found, best).answer()


class _Extraction:
    def __init__(self, asked: Asked, context: Passages, found: Match, best: Sequence[int]) -> None:
        self._asked, self._context, self._found, self._best = asked, context, found, best
        self._asked_for = set(asked.stems)
        speakers = {base_stem(word) for name in context.speakers for word in words(name)}
        self._known = {base_stem(word) for word in words(asked.text)} | speakers | phrases.CALENDAR

    def answer(self) -> str:
        kinds: dict[str, Callable[[], str]] = {
            "duration": lambda: self._phrase(lambda sentence, _: phrases.durations(sentence)[:1], beside=True),
            "how-often": lambda: self._phrase(lambda sentence, _: phrases.frequencies(sentence)[:1], beside=True),
            "count": lambda: self._phrase(self._numbers),
            "who": lambda: self._phrase(lambda sentence, _: self._others(phrases.people(sentence, self._known))),
            "where": lambda: self._phrase(lambda sentence, p: phrases.places(sentence, p.said_on, self._known)),
            "name": lambda: self._phrase(lambda sentence, _: self._others(phrases.names(sentence, self._known))),
            "list": self._list,
            "yes-no": self._yes_no,
        }
        if self._asked.kind == "when":
            return self._when()  # an answer without a date is none
        return kinds.get(self._asked.kind, str)() or self._statement(self._ranked()[0][1])

    # --- phrases

    def _phrase(self, find: Callable[[str, Passage], Sequence[str]], *, beside: bool = False) -> str:
        """What `find` finds in the best sentence that holds it, or if `beside` in one that stands beside a better one."""
        scored: list[tuple[float, int, Sequence[str]]] = []
        for i in self._best:
            passage = self._passage(i)
            here = find(self._context.sentences[i], passage)
            near = (find(self._context.sentences[k], passage) for k in self._beside(i)) if beside else iter(())
            said = here or next(filter(None, near), [])
            if said:
                scored.append((self._found.score[i] * (1 + (HOLDS if here else TURN_HOLDS)), -i, said))
        if not scored:
            return ""
        score, _, said = max(scored, key=lambda entry: entry[:2])
        return ", ".join(dict.fromkeys(said[:3])) if score >= self._found.score[self._best[0]] else ""

    def _others(self, names: Sequence[str]) -> list[str]:
        """The names that are not what the speakers call each other for short."""
        speakers = [name.lower() for name in self._context.speakers]
        return [name for name in names if not any(speaker.startswith(name.lower()) for speaker in speakers)]

    def _numbers(self, sentence: str, passage: Passage) -> list[str]:
        """The number of what is asked for, if it stands there, else the first."""
        numbers = phrases.numbers(sentence, passage.said_on)
        return [number for number in numbers if self._asked_for & set(content(number))][:1] or numbers[:1]

    def _when(self) -> str:
        scored: list[tuple[float, int, tuple[DateSpan, ...]]] = []
        for i in self._best:
            here = self._dates(i)
            around = here or next((dates for k in self._beside(i) if (dates := self._dates(k))), ())
            bonus = HOLDS if here else TURN_HOLDS if around else 0.0
            if self._asked.months and not self._asked.months & _months(around, self._passage(i).said_on):
                bonus -= HOLDS
            scored.append((self._found.score[i] * (1 + bonus), -i, around))
        _, minus, spans = max(scored, key=lambda entry: entry[:2])
        said_on = self._passage(-minus).said_on
        if not spans and said_on and self._found.cover[-minus] >= JUST_NOW:
            spans = (DateSpan(said_on, said_on, "", (0, 0), False),)  # people tell of what has just happened
        return _in_unit(spans[0], self._asked.unit) if spans else ""

    def _dates(self, i: int) -> tuple[DateSpan, ...]:
        sentence, said_on = self._context.dated[i], self._passage(i).said_on
        dates = phrases.dates_in(sentence, said_on)
        return dates or (phrases.beginnings(sentence, said_on) if self._asked.beginning else ())

    # --- yes or no, lists

    def _yes_no(self) -> str:
        if self._asked.options:
            support = [self._support(option) for option in self._asked.options]
            if max(support) > 0:
                return self._asked.options[int(np.argmax(support))]
        negative = phrases.negative(self._context.sentences[self._best[0]]) != phrases.negative(self._asked.text)
        if self._asked.hypothetical:
            return "Likely no" if negative else "Likely yes"
        return "No" if negative else "Yes"

    def _support(self, option: str) -> float:
        places = [self._context.sentences_with.get(wanted) for wanted in content(option)]
        return float(sum(self._found.about[place].sum() for place in places if place is not None))

    def _list(self) -> str:
        """Names, where the question asks for things that have one; else what several turns say."""
        if self._asked.named:
            least = NAMES_DEPTH * self._found.score[self._best[0]]
            near = [self._context.sentences[i] for i in self._best if self._found.score[i] >= least]
            names = dict.fromkeys(
                name for sentence in near for name in self._others(phrases.names(sentence, self._known))
            )
            if names:
                return ", ".join(list(names)[:NAMES_LENGTH])
        ranked = self._ranked()
        turns: dict[int, int] = {}  # the best sentence of each turn
        for score, i in ranked:
            if score >= LIST_DEPTH * ranked[0][0]:
                turns.setdefault(int(self._context.passage_of[i]), i)
        chosen = list(turns.values())[:LIST_LENGTH]
        items: list[str] = []
        seen = set(self._asked_for)
        for i in chosen:
            item = self._statement(i, MAX_WORDS // len(chosen))
            if new := set(content(item)) - seen:
                items.append(item.rstrip(".!,"))
                seen |= new
        return ", ".join(items)

    # --- anything else

    def _ranked(self) -> list[tuple[float, int]]:
        """Scores and sentences, best first, with the bonus for what is new and, of a reason, for giving one."""
        why = self._asked.kind == "why"
        scored = []
        for i in self._best:
            score = self._found.score[i] * (1 + NEW_WORDS * self._newness(i))
            scored.append((score * (1 + HOLDS * (why and phrases.gives_reason(self._context.sentences[i]))), i))
        return sorted(scored, key=lambda entry: (-entry[0], entry[1]))

    def _newness(self, i: int) -> float:
        return min(1.0, len(set(content(self._context.sentences[i])) - self._asked_for) / FULL)

    def _statement(self, i: int, limit: int = MAX_WORDS) -> str:
        """What stands at and beside sentence `i`, in `limit` words: the sentences by how much they match and add.

        The sentence that matches best often only repeats the question, and the answer stands beside it.
        """
        values = []
        for k in (i, *self._beside(i)):
            value = float(self._found.own[k]) + self._newness(k)
            if self._context.questions[k]:
                value *= ASKS
            elif self._context.captions[k] and not self._found.shown:
                value *= CAPTION
            values.append((-value, k))
        left = limit
        taken: dict[int, str] = {}
        for _, k in sorted(values):
            said = clause(self._context.sentences[k], self._context.speakers, left)
            if said and (not taken or len(content(said)) > 1):
                taken[k] = said
                left -= len(said.split())
            if left < FULL:
                break
        parts = [taken[k] for k in sorted(taken)]
        return " ".join(part if part[-1] in ".!?" else f"{part};" for part in parts).rstrip(";")

    def _passage(self, i: int) -> Passage:
        return self._context.passages[int(self._context.passage_of[i])]

    def _beside(self, i: int) -> Iterator[int]:
        """The sentences near by in the same turn, nearest first, the next before the last."""
        for step in range(1, REACH + 1):
            for k in (i + step, i - step):
                if 0 <= k < len(self._context.sentences) and self._context.passage_of[k] == self._context.passage_of[i]:
                    yield k


def _months(spans: Sequence[DateSpan], said_on: date | None) -> set[int]:
    return {span.start.month for span in spans} or ({said_on.month} if said_on else set())


def _in_unit(span: DateSpan, unit: str) -> str:
    if unit == "year":
        return str(span.start.year)
    return f"{span.start:%B} {span.start.year}" if unit == "month" else format_span(span)
