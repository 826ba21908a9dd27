"""Splits a context into passages and sentences: who said what and when, with an index of the stems.

The text of any memory can be read. Each line is one of these:

    [8 May 2023]                     the date of the lines below, down to the next such line or heading
    # Events                         a heading: has no content, and ends the validity of a date
    Ann: I ran yesterday.            a turn; following lines without a speaker belong to it
    [8 May 2023] Ann: I ran.         the date of this line only; also `2023-05-08: ...`, `- (8 May 2023) ...`
    {"memory": "...", "date": ...}   JSON: its strings are the text, a key for a date has the date
    Ann likes running.               a fact without a speaker: a passage by itself
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise
from time import perf_counter

import numpy as np
import numpy.typing as npt

from engram_eval.language.dates import find_dates
from engram_eval.language.words import STOPWORDS, words
from engram_eval.language.words import sentences as split_sentences
from engram_eval.readers.offline import json_context
from engram_eval.readers.offline.base_stems import base_stem

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

CACHED_CONTEXTS = (
    8  # all questions of a conversation read the same full history, and a few conversations can run at once
)
SHORT = 8  # sentences: a context of two or three turns, which was chosen for the question
CACHED_PASSAGES = 4_096  # several conversations of LoCoMo or LongMemEval-S


@dataclass(frozen=True, slots=True)
class Passage:
    """A turn, or a fact without a speaker (`speaker` is None)."""

    speaker: str | None
    said_on: date | None
    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage, or the caption of an image.

    `dated` is the sentence including dates that a memory has resolved, `yesterday (= 7 May 2023)`. `stems` are those of its
    content words. `addresses_listener`: it has "you".
    """

    text: str
    dated: str
    stems: frozenset[str]
    addresses_listener: bool
    is_question: bool
    is_caption: bool


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages in the order of the text, their sentences, and the sentences of each stem. Cached: do not change it.

    `sentences` are texts, and `dated`, `addresses_listener`, `questions` and `captions` what `Sentence` says of each.
    `passage_of` maps a sentence to its passage. `before` and `after` map a passage to its neighbours in the same
    conversation, or to itself. `replies`: the neighbour before is by another speaker. `places` are the indices of the
    sentences with a stem. `read_s`: the seconds that it takes to read the text if none of its passages has been read before.
    """

    passages: tuple[Passage, ...]
    sentences: tuple[str, ...]
    dated: tuple[str, ...]
    passage_of: Ints
    before: Ints
    after: Ints
    replies: Flags
    speaker_of: tuple[str | None, ...]
    speakers: tuple[str, ...]
    addresses_listener: Flags
    questions: Flags
    captions: Flags
    places: dict[str, list[int]]
    read_s: float

    def sentences_with(self, stem: str) -> Ints | None:
        """The sentences with a stem, in order; None if there are none."""
        places = self.places.get(stem)
        return None if places is None else np.array(places, dtype=np.int32)

    def sentences_like(self, stem: str) -> Ints | None:
        """The sentences with a stem that begins with the same five letters: `counselor` for `counsel`."""
        if len(stem) < 5:
            return None
        places = {i for known in self.places if known.startswith(stem[:5]) for i in self.places[known]}
        return np.array(sorted(places), dtype=np.int32) if places else None

    def rarity(self, stem: str) -> float:
        """Inverse document frequency over sentences; a stem in no sentence counts as if it were in half a sentence."""
        return float(np.log1p(len(self.sentences) / (len(self.places[stem]) if stem in self.places else 0.5)))


@lru_cache(maxsize=CACHED_CONTEXTS)
def read_passages(text: str) -> Passages:
    """Splits a context's text. Never raises; an empty text has no passages."""
    started = perf_counter()
    passages = tuple(_passages(text))
    sentences: list[Sentence] = []
    passage_of: list[int] = []
    first_read_s = looked_up_s = 0.0
    for i, passage in enumerate(passages):
        lookup_started = perf_counter()
        of_passage, seconds = _read_sentences(passage.text)
        looked_up_s += perf_counter() - lookup_started
        first_read_s += seconds
        sentences += of_passage
        passage_of += [i] * len(of_passage)
    places: dict[str, list[int]] = {}
    for i, sentence in enumerate(sentences):
        for stem in sentence.stems:
            places.setdefault(stem, []).append(i)
    numbers = np.arange(len(passages), dtype=np.int32)
    linked = np.array(
        [a.said_on == b.said_on and bool(a.speaker) and bool(b.speaker) for a, b in pairwise(passages)],
        dtype=np.bool_,
    )
    before, after = numbers.copy(), numbers.copy()
    if len(passages) > 1:
        before[1:] = np.where(linked, numbers[:-1], numbers[1:])
        after[:-1] = np.where(linked, numbers[1:], numbers[:-1])
    speaker_of = tuple(passage.speaker for passage in passages)
    replies = np.array(
        [before[i] != i and speaker_of[before[i]] != speaker for i, speaker in enumerate(speaker_of)], dtype=np.bool_
    )
    return Passages(
        passages=passages,
        sentences=tuple(sentence.text for sentence in sentences),
        dated=tuple(sentence.dated for sentence in sentences),
        passage_of=np.array(passage_of, dtype=np.int32),
        before=before,
        after=after,
        replies=replies,
        speaker_of=speaker_of,
        speakers=tuple(dict.fromkeys(passage.speaker for passage in passages if passage.speaker)),
        addresses_listener=np.array([sentence.addresses_listener for sentence in sentences], dtype=np.bool_),
        questions=np.array([sentence.is_question for sentence in sentences], dtype=np.bool_),
        captions=np.array([sentence.is_caption for sentence in sentences], dtype=np.bool_),
        places=places,
        read_s=perf_counter() - started - looked_up_s + first_read_s,
    )


_YOU = frozenset(("you", "your", "yours", "yourself", "u", "ur"))
_RESOLVED = re.compile(r"\s*\(=[^)]*\)")
_CAPTION = re.compile(r"\s*\[image:\s*([^\]]*)\]?")


@lru_cache(maxsize=CACHED_PASSAGES)
def _read_sentences(text: str) -> tuple[tuple[Sentence, ...], float]:
    """The sentences of a passage, and the seconds that it took to read them.

    Cached, because most questions of a conversation are asked of a few hundred turns in ever different order.
    """
    started = perf_counter()
    sentences = tuple(_sentence(part, is_caption) for part, is_caption in _split(text))
    return sentences, perf_counter() - started


def _sentence(dated: str, is_caption: bool) -> Sentence:
    text = _RESOLVED.sub("", dated) or dated
    sentence_words = set(words(text))
    return Sentence(
        text,
        dated,
        stems=frozenset(base_stem(word) for word in sentence_words if word not in STOPWORDS),
        addresses_listener=not sentence_words.isdisjoint(_YOU),
        is_question=text.rstrip("\"'”’)").endswith("?"),
        is_caption=is_caption,
    )


def _split(text: str) -> Iterator[tuple[str, bool]]:
    """The sentences, and whether each is the caption of an image."""
    for i, part in enumerate(_CAPTION.split(text)):
        if i % 2:
            yield part.strip() or "image", True
        else:
            yield from ((sentence, False) for sentence in split_sentences(part))


# --- lines ------------------------------------------------------------------------------------------------------

ROLES = frozenset(("user", "assistant", "human", "ai", "system"))
_ROLE = re.compile(r"^(user|assistant|human|ai|system)\s*:", re.IGNORECASE | re.MULTILINE)
_SPEAKER = re.compile(
    r"((?:[^\W\d_a-z][\w.'’-]*)(?: [^\W\d_a-z][\w.'’-]*){0,2}|user|assistant|human|ai|system)\s*:\s+(?=\S)"
)
_MARK = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")
_LEADING_DATE = re.compile(
    r"^(?:\[([^\]]{4,40})\]|\(([^)]{4,40})\)|(\d{4}-\d\d-\d\d)(?:[T ][\d:.]+Z?)?)\s*[:|,–-]?\s*(?=\S)"
)
_HEADER_WORDS = frozenset(
    "session conversation date time dated chat dialogue timestamp day am pm at on the of mon tue wed thu fri sat sun".split()
)


def _passages(text: str) -> Iterator[Passage]:
    whole = json_context.entries(text)
    if whole is not None:
        yield from (Passage(entry.speaker, entry.said_on, entry.text) for entry in whole)
        return
    roles_only = _ROLE.search(text) is not None  # then "Online reviews: ..." in an answer is not a speaker
    said_on: date | None = None
    speaker: str | None = None
    line_date: date | None = None
    lines: list[str] = []
    for line in text.splitlines():
        line = line.strip()
        if not line:
            continue
        heading = line.startswith("# ")
        header = None if heading else _header(line)
        if heading or header:
            if lines:
                yield Passage(speaker, line_date or said_on, "\n".join(lines))
            lines, speaker, said_on, line_date = [], None, header, None
            continue
        objects = json_context.entries(line.rstrip(","))
        if objects:
            if lines:
                yield Passage(speaker, line_date or said_on, "\n".join(lines))
            lines, speaker, line_date = [], None, None
            yield from (Passage(entry.speaker, entry.said_on or said_on, entry.text) for entry in objects)
            continue
        own_date, rest = _dated(line)
        match = _SPEAKER.match(rest)
        if match and roles_only and match[1].lower() not in ROLES:
            match = None
        if match is None and speaker is not None and own_date is None:
            lines.append(rest)
            continue
        if lines:
            yield Passage(speaker, line_date or said_on, "\n".join(lines))
        speaker, line_date = (match[1] if match else None), own_date
        lines = [rest[match.end() :] if match else _MARK.sub("", rest)]
    if lines:
        yield Passage(speaker, line_date or said_on, "\n".join(lines))


@lru_cache(maxsize=CACHED_PASSAGES)
def _header(line: str) -> date | None:
    """The date of a line that is only a date: `[8 May 2023, 13:56]`, `Session 3 (2023/05/20 (Sat) 02:21)`."""
    if len(line) > 60 or not any(c.isdigit() for c in line):
        return None
    spans = [span for span in find_dates(line, said_on=None) if span.start == span.end]
    if not spans:
        return None
    start, end = spans[0].position
    if any(word.isalpha() and word not in _HEADER_WORDS for word in words(line[:start] + " " + line[end:])):
        return None
    return spans[0].start


def _dated(line: str) -> tuple[date | None, str]:
    """The date at the beginning of a line, if any, and the rest of the line."""
    match = _LEADING_DATE.match(_MARK.sub("", line))
    day = json_context.day_in(match[1] or match[2] or match[3]) if match else None
    return (day, _MARK.sub("", line)[match.end() :]) if match and day else (None, line)
