"""Writing systems without spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan.

A text in one of them is compared by characters, as the field does where no segmenter is at hand: rankers index character
bigrams (Nie, Gao, Zhang & Zhou 2000; Lucene's CJKAnalyzer), and F1 counts characters (the official scripts of CMRC 2018 and
MLQA; LongBench segments Chinese with jieba instead). A character is a letter with the marks above and below it.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

_IDEOGRAPHS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31f0-\u31ff"
# Letters and marks, without digits and punctuation: Thai, Lao, Tibetan, Burmese, Khmer.
_SOUTH_EAST = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ecf\u0edc-\u0edf\u0f00\u0f40-\u0f87\u0f90-\u0fbc"
    "\u1000-\u103f\u1050-\u108f\u1780-\u17d3\u17d7\u17dc\u17dd"
)
UNSPACED = _IDEOGRAPHS + _KANA + _SOUTH_EAST
"""A character class, without its brackets: all characters that are written without spaces between words."""

_UNSPACED = re.compile(f"[{UNSPACED}]")
_RUN_OR_WORD = re.compile(rf"[{UNSPACED}]+|[^\W{UNSPACED}]+")
_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]")


def is_unspaced(text: str) -> bool:
    """Whether any part of the text is in a writing system without spaces."""
    return not text.isascii() and _UNSPACED.search(text) is not None


def characters(run: str) -> list[str]:
    """The letters of a run of such text, each with its marks."""
    letters: list[str] = []
    for character in run:
        if letters and unicodedata.category(character).startswith("M"):
            letters[-1] += character
        else:
            letters.append(character)
    return letters


def grams(run: str) -> list[str]:
    """The units by which a run of such text is compared, in place of words: character bigrams and single ideographs.

    Many words are a single ideograph, which bigrams hide; a kana or a Thai letter by itself means nothing.
    """
    letters = characters(run)
    if len(letters) == 1:
        return letters
    ideographs = [letter for letter in letters if _IDEOGRAPH.match(letter)]
    return [first + second for first, second in pairwise(letters)] + ideographs


def segmented(token: str) -> list[str]:
    """A token between spaces, split into characters where it is written without spaces; punctuation is left out."""
    parts = _RUN_OR_WORD.findall(unicodedata.normalize("NFKC", token))
    return [part for run in parts for part in (characters(run) if _UNSPACED.match(run) else [run])]
