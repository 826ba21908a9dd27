"""Words, stems and sentences: the lexical view of a text that rankers, reader, judge and metrics share."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import Stemmer

# Closed-class words (articles, pronouns, auxiliaries, prepositions, conjunctions, question words, contractions'
# remains): they carry grammar, not content. No word of the open classes, so that nothing a question can ask is lost.
STOPWORDS = frozenset(
    """a about after again all also am an and any are as at be because been before being between both but by can could d did do
    does doing down during each for from further had has have having he her here hers herself him himself his how i if in into
    is it its itself just ll m me might more most must my myself no nor not now of off on once only or other our ours ourselves
    out over own re s same shall she should so some such t than that the their theirs them themselves then there these they
    this those through to too under until up us ve very was we were what when where which while who whom whose why will with
    would yes you your yours yourself yourselves""".split()
)
_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n+")
_stemmer = Stemmer.Stemmer("english", 0)  # 0: no cache of its own, `stem` keeps one


def normalize(text: str) -> str:
    """NFKC, lower case, apostrophes made one character, accents kept."""
    return unicodedata.normalize("NFKC", text).lower().replace("’", "'")


def words(text: str) -> list[str]:
    """Lower-case words and numbers in order; `3,000` and `1.5` are one word, an apostrophe parts two."""
    return _WORD.findall(normalize(text))


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The Snowball English stem of one lower-case word."""
    return str(_stemmer.stemWord(word))


def stems(text: str) -> list[str]:
    """Stems of all words, stop words included, in order."""
    return [stem(word) for word in words(text)]


def content_stems(text: str) -> list[str]:
    """Stems of the words that carry content, in order, repeats kept."""
    return [stem(word) for word in words(text) if word not in STOPWORDS]


def sentences(text: str) -> list[str]:
    """The text cut at sentence ends and line breaks; never an empty string."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
