"""Words, stems and sentences of a text, the same for rankers, reader, judge and metrics."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import Stemmer

from engram_eval.language.scripts import UNSPACED, characters, grams, is_unspaced

# Closed-class words (articles, pronouns, auxiliaries, prepositions, conjunctions, question words, remains of
# contractions): they carry grammar, not content. Nouns, verbs and adjectives are not in it: a question can ask for them.
_ENGLISH_STOPWORDS = frozenset(
    """a about after again all also am an and any are as at be because been before being between both but by can could d did do
    does doing down during each for from further had has have having he her here hers herself him himself his how i if in into
    is it its itself just ll m me might more most must my myself no nor not now of off on once only or other our ours ourselves
    out over own re s same shall she should so some such t than that the their theirs them themselves then there these they
    this those through to too under until up us ve very was we were what when where which while who whom whose why will with
    would yes you your yours yourself yourselves""".split()
)
# The same of Chinese and Japanese: single characters and the commonest pairs.
_UNSPACED_STOPWORDS = frozenset(
    """的 了 是 在 我 你 您 他 她 它 们 們 这 這 那 之 其 和 与 與 就 都 也 很 吗 嗎 呢 吧 啊 着 著 过 過 把 被 给 給
    对 對 不 没 沒 有 什 么 麼 谁 誰 哪 何 怎 样 樣 个 個 什么 什麼 怎么 怎麼 我们 我們 你们 你們 他们 他們 她们 她們
    这个 這個 那个 那個 没有 沒有 です ます した して ます から まで この その あの""".split()
)
STOPWORDS = _ENGLISH_STOPWORDS | _UNSPACED_STOPWORDS
_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_WORD_OR_RUN = re.compile(rf"[{UNSPACED}]+|[^\W{UNSPACED}]+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？｡])(?![。！？｡\"'”’」』）)\]])\s*|\n+")
_stemmer = Stemmer.Stemmer("english", 0)  # 0 switches its cache off: `stem` has one


def normalize(text: str) -> str:
    """NFKC, lower case, one character for all apostrophes; accents are kept."""
    return unicodedata.normalize("NFKC", text).lower().replace("’", "'")


def words(text: str) -> list[str]:
    """Lower-case words and numbers in order. `3,000` and `1.5` are one word each; an apostrophe separates two words.

    Of a text that is written without spaces, pairs of characters and single ideographs (language/scripts.py).
    """
    plain = normalize(text)
    if not is_unspaced(plain):
        return _WORD.findall(plain)
    return [part for word in _WORD_OR_RUN.findall(plain) for part in (grams(word) if is_unspaced(word) else [word])]


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


def count_words(text: str) -> int:
    """How many words the text has, split at spaces; of what is written without spaces, two characters count as one."""
    return sum(map(_length, text.split()))


def first_words(text: str, limit: int) -> list[str]:
    """The first `limit` words, as `count_words` counts them; the last may be cut."""
    taken: list[str] = []
    for word in text.split():
        if (length := _length(word)) > limit:
            if is_unspaced(word) and limit > 0:
                taken.append("".join(characters(word)[: 2 * limit]))
            break
        taken.append(word)
        limit -= length
    return taken


def _length(word: str) -> int:
    return (len(characters(word)) + 1) // 2 if is_unspaced(word) else 1


def sentences(text: str) -> list[str]:
    """The text split at sentence ends and line breaks, without empty strings."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
