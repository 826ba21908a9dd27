"""What a question asks for: the kind of answer, the person it is about, and the words to search for."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from engram_eval.language.dates import DateSpan, find_dates
from engram_eval.language.words import STOPWORDS, words
from engram_eval.readers.offline.base_stems import base_stem
from engram_eval.readers.offline.passages import ROLES

Kind = Literal["when", "duration", "how-often", "count", "who", "where", "yes-no", "list", "why", "name", "free"]


@dataclass(frozen=True, slots=True)
class QuestionAnalysis:
    """What a question asks for.

    `stems` are those of its content words, without the names of subjects and without dates. `subjects` are the speakers of
    the context that it names, in order; if it names none, another person that it names. `dates` are the dates in it, `months`
    the months, with or without a year. `unit` is the year, month, week or day that it asks for, else empty. `beginning`: it
    asks when something began. `hypothetical`: it asks what would be. `named`: it asks for things with a proper name or a
    title. `options` are the two things that it offers to choose from, if any.
    """

    text: str
    kind: Kind
    stems: tuple[str, ...]
    subjects: tuple[str, ...]
    dates: tuple[DateSpan, ...]
    months: frozenset[int]
    unit: str
    beginning: bool
    hypothetical: bool
    named: bool
    options: tuple[str, ...]


def analyse_question(question: str, speakers: Collection[str], asked_on: date | None = None) -> QuestionAnalysis:
    """Analyses a question for a context with these speakers. Never raises."""
    lower = " ".join(words(question))
    subjects = _subjects(question, speakers)
    names = {part for name in subjects for part in words(name)} | {
        w for w in words(question) if _is_nickname(w, subjects)
    }
    dates = tuple(find_dates(question, said_on=asked_on))
    undated = "".join(question[start:end] for start, end in _between(dates, len(question)))
    stems = [base_stem(word) for word in words(undated) if word not in STOPWORDS and word not in names]
    unit = _UNIT.search(lower)
    return QuestionAnalysis(
        text=question,
        kind=_kind(lower),
        stems=tuple(dict.fromkeys(stems or map(base_stem, sorted(names)))),
        subjects=subjects,
        dates=dates,
        months=frozenset(
            _MONTHS[word.lower()] for word in re.findall(r"[A-Z][a-z]+", question) if word.lower() in _MONTHS
        ),
        unit=unit[1] if unit else "",
        beginning=_BEGINNING.search(lower) is not None,
        hypothetical=_HYPOTHETICAL.match(lower) is not None,
        named=_NAMED.search(lower) is not None,
        options=_options(lower),
    )


# --- the kind ---------------------------------------------------------------------------------------------------

_AUXILIARY = "is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|should|might|may"
_UNIT = re.compile(r"\b(?:what|which)(?: \w+)? (date|day|month|year|week|season)s?\b")
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("duration", re.compile(r"\bhow (?:long|old|many (?:days?|weeks?|months?|years?|hours?|minutes?))\b")),
    ("how-often", re.compile(r"\bhow (?:often|frequently|regularly)\b")),
    ("count", re.compile(r"\bhow (?:many|much)\b|\bwhat (?:number|percentage|amount|score)\b")),
    # "when" inside another question is a circumstance: "How did she feel when she won?"
    ("when", re.compile(rf"^(?!(?:what|which|who|where|how|why|{_AUXILIARY})\b).*\bwhen\b|" + _UNIT.pattern)),
    (
        "why",
        re.compile(
            r"^(?:why|for what reason|what (?:motivated|inspired|made|prompted|caused|led)\b"
            r"|what (?:is|was|were) .{0,20}\breasons?\b)"
        ),
    ),
    ("yes-no", re.compile(rf"^(?:{_AUXILIARY})\b")),
    (
        "list",
        re.compile(
            r"^(?:what|which) (?:\w+ ){0,2}?(?!\w*(?:ss|us|is)\b)(?:\w{3,}s|people|children|media)(?: (?:and|or) \w+s)?"
            rf" (?:\w+ )?(?:{_AUXILIARY})\b"
            r"|^(?:what|which|who) (?:are|were)\b|\bwhat (?:all|else)\b|\bboth\b|^(?:list|name|where has|who all)\b"
        ),
    ),
    ("who", re.compile(r"^(?:\w+ )?(?:who|whom|whose)\b")),
    (
        "where",
        re.compile(
            r"^(?:\w+ )?where\b|^(?:in |to |from )?(?:what|which) (?:\w+ )?(?:city|country|state|place|town|location)\b"
        ),
    ),
)
_NAMED = re.compile(
    r"\b(?:what|which)(?: \w+){0,3}? (?:books?|novels?|movies?|films?|shows?|series|games?|songs?|albums?|bands?|artists?|"
    r"singers?|musicians?|composers?|authors?|teams?|compan(?:y|ies)|brands?|stores?|restaurants?|apps?|podcasts?|"
    r"universit(?:y|ies)|colleges?|schools?|consoles?|airlines?|magazines?|clubs?|cit(?:y|ies)|countr(?:y|ies)|states|"
    r"names?)\b(?! (?:of|about)\b)|\b(?:titled?|called|named?|names)\b"
)
_HYPOTHETICAL = re.compile(r"(?:would|might|could|should)\b|is it likely\b")
_BEGINNING = re.compile(
    r"\b(?:start\w*|beg[iau]n\w*|first|get|got|adopt\w*|join\w*|move\w*|become|became|open\w*|how long)\b"
)
_OR = re.compile(r"((?:\w+ ){1,3})or (?:an? |the )?(\w+(?: \w+){0,2})\W*$")


def _kind(lower: str) -> Kind:
    for kind, pattern in _KINDS:
        if pattern.search(lower):
            return kind
    return "name" if _NAMED.search(lower) else "free"


def _options(lower: str) -> tuple[str, ...]:
    """The two sides of "or": `national park` and `theme park`, `tea` and `coffee`."""
    match = _OR.search(lower)
    if not match:
        return ()
    left = match[1].split()
    small = [i for i, word in enumerate(left) if word in STOPWORDS]
    left = (left[small[-1] + 1 :] if small else left[-1:]) or left[-1:]
    return " ".join(left), match[2]


# --- the words --------------------------------------------------------------------------------------------------

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
         "december"],
        start=1,
    )
}  # fmt: skip
# Words of the question's form, not of its topic: the sentence with the answer seldom repeats them.
SCAFFOLD = frozenset(
    base_stem(word)
    for word in (
        "kind type sort name describe mention mentioned according conversation recently recent new person people specific "
        "certain main thing way different get got go went use make made say said tell share decide feel think like happen "
        "plan many much long old often time year month week day date currently another one two would could likely considered"
    ).split()
)


def _between(dates: Sequence[DateSpan], end: int) -> list[tuple[int, int]]:
    """The positions before, between and after the dates."""
    edges = [0, *(edge for span in dates for edge in span.position), end]
    return list(zip(edges[::2], edges[1::2], strict=True))


# --- the people -------------------------------------------------------------------------------------------------

_FIRST_PERSON = frozenset(("i", "my", "me", "mine", "we", "our"))
_SECOND_PERSON = frozenset(("you", "your", "yours"))
_AFTER_AUXILIARY = re.compile(rf"\b(?i:{_AUXILIARY})\s+([A-Z][a-z]+)\b(?!\s+[A-Z])")


def _subjects(question: str, speakers: Collection[str]) -> tuple[str, ...]:
    """The speakers that the question names, in its order.

    If the speakers are a user and an assistant, "I" is the user and "you" the assistant; a question with both is about
    neither in particular.
    """
    question_words = words(question)
    by_role = {name.lower(): name for name in speakers if name.lower() in ROLES}
    if by_role:
        first_person, second_person = (
            not _FIRST_PERSON.isdisjoint(question_words),
            not _SECOND_PERSON.isdisjoint(question_words),
        )
        roles = () if first_person == second_person else ("user", "human") if first_person else ("assistant", "ai")
        return tuple(by_role[role] for role in roles if role in by_role)[:1]
    subjects = [
        name for word in question_words for name in speakers if word in words(name)[:1] or _is_nickname(word, (name,))
    ]
    if not subjects and speakers and (person := _AFTER_AUXILIARY.search(question)):
        subjects = [person[1]]  # a person who says nothing in this context
    return tuple(dict.fromkeys(subjects))


def _is_nickname(word: str, names: Collection[str]) -> bool:
    """`mel` for Melanie: at least three first letters of a name, and not a stop word."""
    return word not in STOPWORDS and any(
        3 <= len(word) < len(name) and name.lower().startswith(word) and " " not in name for name in names
    )
