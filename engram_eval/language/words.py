"""Words, stems and sentences of a text, the same for rankers, reader, judge and metrics."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import Stemmer

# Closed-class words (articles, pronouns, auxiliaries, prepositions, conjunctions, question words, remains of
# contractions): they carry grammar, not content. Nouns, verbs and adjectives are not in it: a question can ask for them.
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
_stemmer = Stemmer.Stemmer("english", 0)  # 0 switches its cache off: `stem` has one


def normalize(text: str) -> str:
    """NFKC, lower case, one character for all apostrophes; accents are kept."""
    return unicodedata.normalize("NFKC", text).lower().replace("’", "'")


def words(text: str) -> list[str]:
    """Lower-case words and numbers in order. `3,000` and `1.5` are one word each; an apostrophe separates two words."""
    return _WORD.findall(normalize(text))


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The Snowball English stem of one lower-case word."""
    return str(_stemmer.stemWord(word))


def stems(text: str) -> list[str]:
    """Stems of all words in order, stop words included."""
    return [stem(word) for word in words(text)]


def content_stems(text: str) -> list[str]:
    """Stems of the words that are not stop words, in order, with repeats."""
    return [stem(word) for word in words(text) if word not in STOPWORDS]


def sentences(text: str) -> list[str]:
    """The text split at sentence ends and line breaks, without empty strings."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
