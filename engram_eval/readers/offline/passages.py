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

import numpy as np
import numpy.typing as npt

from engram_eval.language.dates import find_dates
from engram_eval.language.words import STOPWORDS, sentences, words
from engram_eval.readers.offline import json_context
from engram_eval.readers.offline.base_stems import base_stem

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

CACHED_CONTEXTS = (
    8  # all questions of a conversation read the same full history, and a few conversations can run at once
)


@dataclass(frozen=True, slots=True)
class Passage:
    """A turn, or a fact without a speaker (`speaker` is None)."""

    speaker: str | None
    said_on: date | None
    text: str


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages in the order of the text, their sentences, and the sentences of each stem. Cached: do not change it.

    `dated` are the sentences including dates that a memory has resolved, `yesterday (= 7 May 2023)`. `passage_of` maps a
    sentence to its passage, `sentences_with` a stem to its sentences and `sentences_with_prefix` the first five letters of a
    stem. `before` and `after` map a passage to its neighbours in the same conversation, or to itself. `addresses_listener`
    marks sentences with "you", `questions` questions and `captions` captions of images.
    """

    passages: tuple[Passage, ...]
    sentences: tuple[str, ...]
    dated: tuple[str, ...]
    passage_of: Ints
    before: Ints
    after: Ints
    speaker_of: tuple[str | None, ...]
    speakers: tuple[str, ...]
    addresses_listener: npt.NDArray[np.bool_]
    questions: npt.NDArray[np.bool_]
    captions: npt.NDArray[np.bool_]
    sentences_with: dict[str, Ints]
    sentences_with_prefix: dict[str, Ints]

    def sentences_like(self, known_stem: str) -> Ints | None:
        """The sentences with a stem that begins with the same five letters: `counselor` for `counsel`."""
        return self.sentences_with_prefix.get(known_stem[:5])

    def rarity(self, known_stem: str) -> float:
        """Inverse document frequency over sentences; a stem in no sentence counts as if it were in half a sentence."""
        places = self.sentences_with.get(known_stem)
        return float(np.log1p(len(self.sentences) / (len(places) if places is not None else 0.5)))


@lru_cache(maxsize=CACHED_CONTEXTS)
def read_passages(text: str) -> Passages:
    """Splits a context's text. Never raises; an empty text has no passages."""
    passages = tuple(_passages(text))
    sentence_texts: list[str] = []
    dated: list[str] = []
    captions: list[bool] = []
    passage_of: list[int] = []
    for i, passage in enumerate(passages):
        for sentence, is_caption in _sentences(passage.text):
            dated.append(sentence)
            sentence_texts.append(_RESOLVED.sub("", sentence) or sentence)
            captions.append(is_caption)
            passage_of.append(i)
    places: dict[str, list[int]] = {}
    addresses_listener = np.zeros(len(sentence_texts), dtype=np.bool_)
    for i, sentence in enumerate(sentence_texts):
        sentence_words = set(words(sentence))
        addresses_listener[i] = not sentence_words.isdisjoint(_YOU)
        for known in {base_stem(word) for word in sentence_words if word not in STOPWORDS}:
            places.setdefault(known, []).append(i)
    prefixes: dict[str, list[int]] = {}
    for known, where in places.items():
        if len(known) >= 5:
            prefixes.setdefault(known[:5], []).extend(where)
    numbers = np.arange(len(passages), dtype=np.int32)
    linked = np.array(
        [a.said_on == b.said_on and bool(a.speaker) and bool(b.speaker) for a, b in pairwise(passages)],
        dtype=np.bool_,
    )
    before, after = numbers.copy(), numbers.copy()
    if len(passages) > 1:
        before[1:] = np.where(linked, numbers[:-1], numbers[1:])
        after[:-1] = np.where(linked, numbers[1:], numbers[:-1])
    return Passages(
        passages=passages,
        sentences=tuple(sentence_texts),
        dated=tuple(dated),
        passage_of=np.array(passage_of, dtype=np.int32),
        before=before,
        after=after,
        speaker_of=tuple(passage.speaker for passage in passages),
        speakers=tuple(dict.fromkeys(passage.speaker for passage in passages if passage.speaker)),
        addresses_listener=addresses_listener,
        questions=np.array([sentence.rstrip("\"'”’)").endswith("?") for sentence in sentence_texts], dtype=np.bool_),
        captions=np.array(captions, dtype=np.bool_),
        sentences_with={known: np.array(where, dtype=np.int32) for known, where in places.items()},
        sentences_with_prefix={known: np.unique(np.array(where, dtype=np.int32)) for known, where in prefixes.items()},
    )


_YOU = frozenset(("you", "your", "yours", "yourself", "u", "ur"))
_RESOLVED = re.compile(r"\s*\(=[^)]*\)")
_CAPTION = re.compile(r"\s*\[image:\s*([^\]]*)\]?")


def _sentences(text: str) -> Iterator[tuple[str, bool]]:
    """The sentences, and whether each is the caption of an image."""
    for i, part in enumerate(_CAPTION.split(text)):
        if i % 2:
            yield part.strip() or "image", True
        else:
            yield from ((sentence, False) for sentence in sentences(part))


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
