"""Extracts the short answer from the best sentences, differently for each kind of question.

If the question asks for a kind of phrase (a date, a number, a person …), the answer is such a phrase from the best sentence
that has one, unless a sentence without one matches much better. Otherwise the answer is what the best sentence and its
neighbours say, cut to `MAX_WORDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date

import numpy as np

from engram_eval.language.dates import DateSpan, format_span
from engram_eval.language.words import count_words, words
from engram_eval.readers.offline import phrases
from engram_eval.readers.offline.base_stems import base_stem, base_stems
from engram_eval.readers.offline.clauses import clause
from engram_eval.readers.offline.matching import Match
from engram_eval.readers.offline.passages import SHORT, Passage, Passages
from engram_eval.readers.offline.question_analysis import QuestionAnalysis

MAX_WORDS = 25  # about the length of an LLM's answer; longer answers could pass a lexical judge by bulk
# First guesses in round numbers, which were kept, except `ENOUGH_NEW_WORDS` (4, 6, 8 and 10 were tried; it is worth a point).
# Half or double any of them changes the accuracy on the development conversations by less than two points.
PHRASE_BONUS = 0.5  # for a sentence with a phrase of the kind that the question asks for
NEAR_PHRASE_BONUS = 0.25  # for a sentence with such a phrase next to it
NEW_WORDS_BONUS = (
    0.3  # for a sentence with `ENOUGH_NEW_WORDS` content words that are not in the question; with fewer, a part of it
)
ENOUGH_NEW_WORDS = 4
QUESTION_WEIGHT, CAPTION_WEIGHT = 0.5, 0.5  # the value of a question and of an image's caption as an answer
NEIGHBOURS = 3  # sentences on either side, in the same turn, that may have the answer: a turn can be a page long
DEPTH = 0.8  # what has at least this share of the best score matches nearly as well
SHORT_DEPTH = 0.5  # in a context of at most `SHORT` sentences, which was chosen for the question
LIST_LENGTH = 3  # turns in a list, at most
FIRST_WORDS = 15  # of `MAX_WORDS`, for the best turn, if a second one matches nearly as well
NAMES_LENGTH = 6  # names in a list, at most
SAID_ON_COVER = 0.4  # the cover that a match needs so that the day on which it was said answers "when"


def extract(question: QuestionAnalysis, context: Passages, match: Match, best: Sequence[int]) -> str:
    """The answer to a question from the sentences `best` (indices, best first); empty if there is none."""
    return _Extraction(question, context, match, best).answer()


class _Extraction:
    def __init__(self, question: QuestionAnalysis, context: Passages, match: Match, best: Sequence[int]) -> None:
        self._question, self._context, self._match, self._best = question, context, match, best
        self._question_stems = set(question.stems)
        speakers = {base_stem(word) for name in context.speakers for word in words(name)}
        self._known = {base_stem(word) for word in words(question.text)} | speakers | phrases.CALENDAR

    def answer(self) -> str:
        kinds: dict[str, Callable[[], str]] = {
            "duration": lambda: self._phrase(lambda sentence, _: phrases.durations(sentence)[:1], or_near=True),
            "how-often": lambda: self._phrase(lambda sentence, _: phrases.frequencies(sentence)[:1], or_near=True),
            "count": self._count,
            "who": lambda: self._phrase(
                lambda sentence, _: self._without_speakers(phrases.people(sentence, self._known))
            ),
            "where": lambda: self._phrase(lambda sentence, p: phrases.places(sentence, p.said_on, self._known)),
            "name": lambda: self._phrase(
                lambda sentence, _: self._without_speakers(phrases.names(sentence, self._known))
            ),
            "list": self._list,
            "yes-no": self._yes_no,
        }
        if self._question.kind == "when":
            return self._when()  # an answer without a date would be no answer
        return kinds.get(self._question.kind, str)() or self._statements()

    # --- phrases

    def _phrase(self, find: Callable[[str, Passage], Sequence[str]], *, or_near: bool = False) -> str:
        """What `find` finds in the best sentence that has it or, if `or_near`, in a neighbour of a better sentence."""
        scored: list[tuple[float, int, Sequence[str]]] = []
        for i in self._best:
            passage = self._passage(i)
            in_sentence = find(self._context.sentences[i], passage)
            near = (find(self._context.sentences[k], passage) for k in self._neighbours(i)) if or_near else iter(())
            found = in_sentence or next(filter(None, near), [])
            if found:
                scored.append(
                    (self._match.score[i] * (1 + (PHRASE_BONUS if in_sentence else NEAR_PHRASE_BONUS)), -i, found)
                )
        if not scored:
            return ""
        score, _, phrases_found = max(scored, key=lambda entry: entry[:2])
        return ", ".join(dict.fromkeys(phrases_found[:3])) if score >= self._match.score[self._best[0]] else ""

    def _without_speakers(self, names: Sequence[str]) -> list[str]:
        """The names without nicknames of the speakers."""
        speakers = [name.lower() for name in self._context.speakers]
        return [name for name in names if not any(speaker.startswith(name.lower()) for speaker in speakers)]

    def _count(self) -> str:
        """A number with the counted thing, else as many as the highest "my third ...", else on how many days it was mentioned.

        A number of something else is the last resort.
        """
        of_thing = self._phrase(lambda sentence, p: self._with_thing(phrases.numbers(sentence, p.said_on)))
        if of_thing:
            return of_thing
        least = DEPTH * self._match.score[self._best[0]]
        telling = [i for i in self._best if self._match.score[i] >= least and not self._context.questions[i]]
        ordinals = [n for i in telling for n in phrases.ordinals(self._context.sentences[i], self._question_stems)]
        days = {self._passage(i).said_on for i in telling}
        if (number := max(ordinals, default=len(days))) > 1:
            return str(number)
        return self._phrase(lambda sentence, p: phrases.numbers(sentence, p.said_on)[:1])

    def _with_thing(self, numbers: Sequence[str]) -> list[str]:
        return [number for number in numbers if self._question_stems & set(base_stems(number))][:1]

    def _when(self) -> str:
        scored: list[tuple[float, int, tuple[DateSpan, ...]]] = []
        for i in self._best:
            in_sentence = self._dates(i)
            around = in_sentence or next((dates for k in self._neighbours(i) if (dates := self._dates(k))), ())
            bonus = PHRASE_BONUS if in_sentence else NEAR_PHRASE_BONUS if around else 0.0
            if self._question.months and not self._question.months & _months(around, self._passage(i).said_on):
                bonus -= PHRASE_BONUS
            scored.append((self._match.score[i] * (1 + bonus), -i, around))
        _, minus, spans = max(scored, key=lambda entry: entry[:2])
        said_on = self._passage(-minus).said_on
        covered = self._match.cover[-minus] >= SAID_ON_COVER or len(self._context.sentences) <= SHORT
        if not spans and said_on and covered:
            spans = (DateSpan(said_on, said_on, "", (0, 0), False),)  # people talk about what has just happened
        return _in_unit(spans[0], self._question.unit) if spans else ""

    def _dates(self, i: int) -> tuple[DateSpan, ...]:
        sentence, said_on = self._context.dated[i], self._passage(i).said_on
        dates = phrases.dates_in(sentence, said_on)
        return dates or (phrases.beginnings(sentence, said_on) if self._question.beginning else ())

    # --- yes or no, lists

    def _yes_no(self) -> str:
        if self._question.options:
            support = [self._support(option) for option in self._question.options]
            return self._question.options[int(np.argmax(support))]
        negative = phrases.is_negative(self._context.sentences[self._best[0]]) != phrases.is_negative(
            self._question.text
        )
        if self._question.hypothetical:
            return "Likely no" if negative else "Likely yes"
        return "No" if negative else "Yes"

    def _support(self, option: str) -> float:
        places = [self._context.sentences_with(stem) for stem in base_stems(option)]
        return float(sum(self._match.about[place].sum() for place in places if place is not None))

    def _list(self) -> str:
        """Names if the question asks for things with a name, else what several turns say."""
        if self._question.named:
            least = DEPTH * self._match.score[self._best[0]]
            near = [self._context.sentences[i] for i in self._best if self._match.score[i] >= least]
            names = dict.fromkeys(
                name for sentence in near for name in self._without_speakers(phrases.names(sentence, self._known))
            )
            if names:
                return ", ".join(list(names)[:NAMES_LENGTH])
        chosen = self._best_turns(LIST_LENGTH)
        items: list[str] = []
        seen = set(self._question_stems)
        for i in chosen:
            item = self._statement(i, MAX_WORDS // len(chosen))
            if new := set(base_stems(item)) - seen:
                items.append(item.rstrip(".!,"))
                seen |= new
        return ", ".join(items)

    # --- anything else

    def _ranked(self) -> list[tuple[float, int]]:
        """Scores and sentences, best first, with the bonus for new words and, for "why", the bonus for giving a reason."""
        why = self._question.kind == "why"
        scored = []
        for i in self._best:
            score = self._match.score[i] * (1 + NEW_WORDS_BONUS * self._newness(i))
            scored.append((score * (1 + PHRASE_BONUS * (why and phrases.gives_reason(self._context.sentences[i]))), i))
        return sorted(scored, key=lambda entry: (-entry[0], entry[1]))

    def _best_turns(self, most: int) -> list[int]:
        """The best sentence of each of the turns that match about equally well, best first, at least one."""
        ranked = self._ranked()
        least = ranked[0][0] * (SHORT_DEPTH if len(self._context.sentences) <= SHORT else DEPTH)
        turns: dict[int, int] = {}
        for score, i in ranked:
            if score >= least:
                turns.setdefault(int(self._context.passage_of[i]), i)
        return list(turns.values())[:most]

    def _newness(self, i: int) -> float:
        return min(1.0, len(set(base_stems(self._context.sentences[i])) - self._question_stems) / ENOUGH_NEW_WORDS)

    def _statements(self) -> str:
        """What the best turn says and, in the words that are left, what a second one says that matches nearly as well."""
        first, *others = self._best_turns(2)
        said = [self._statement(first, FIRST_WORDS if others else MAX_WORDS)]
        said += [self._statement(i, MAX_WORDS - count_words(said[0])) for i in others]
        return _joined([statement for statement in said if statement])

    def _statement(self, i: int, limit: int = MAX_WORDS) -> str:
        """What sentence `i` and its neighbours say, in `limit` words; those that match best and add most come first.

        The best match often only repeats the question, and the answer is next to it.
        """
        values = []
        for k in (i, *self._neighbours(i)):
            value = float(self._match.own[k]) + self._newness(k)
            if self._context.questions[k]:
                value *= QUESTION_WEIGHT
            elif self._context.captions[k] and not self._match.shown:
                value *= CAPTION_WEIGHT
            values.append((-value, k))
        left = limit
        taken: dict[int, str] = {}
        for _, k in sorted(values):
            shortened = clause(self._context.sentences[k], self._context.speakers, left)
            if shortened and (not taken or len(base_stems(shortened)) > 1):
                taken[k] = shortened
                left -= count_words(shortened)
            if left < ENOUGH_NEW_WORDS:
                break
        return _joined([taken[k] for k in sorted(taken)])

    def _passage(self, i: int) -> Passage:
        return self._context.passages[int(self._context.passage_of[i])]

    def _neighbours(self, i: int) -> Iterator[int]:
        """The nearby sentences of the same turn, nearest first, and the following one before the preceding one."""
        for step in range(1, NEIGHBOURS + 1):
            for k in (i + step, i - step):
                if 0 <= k < len(self._context.sentences) and self._context.passage_of[k] == self._context.passage_of[i]:
                    yield k


def _joined(parts: Sequence[str]) -> str:
    return " ".join(part if part[-1] in ".!?" else f"{part};" for part in parts).rstrip(";")


def _months(spans: Sequence[DateSpan], said_on: date | None) -> set[int]:
    return {span.start.month for span in spans} or ({said_on.month} if said_on else set())


def _in_unit(span: DateSpan, unit: str) -> str:
    if unit == "year":
        return str(span.start.year)
    return f"{span.start:%B} {span.start.year}" if unit == "month" else format_span(span)
