"""Numbers in a text, in words or digits."""

from __future__ import annotations

import re

from engram_eval.language.words import words

_SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen",
]  # fmt: skip
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_SMALL)} | {
    "once": "1", "twice": "2", "thrice": "3", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50",
    "hundred": "100", "thousand": "1000", "dozen": "12", "decade": "10",
}  # fmt: skip
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def in_digits(word: str) -> str:
    """A number word or an ordinal in digits: `3` for "three" and "3rd". Any other word is returned as it is."""
    if word[0].isdigit():
        return word[:-2] if word.endswith(("st", "nd", "rd", "th")) else word
    return _NUMBER_WORDS.get(word, word)


def numbers_in(text: str) -> tuple[str, ...]:
    """The numbers of a text in order, in digits without separators."""
    matches = [_NUMBER.match(in_digits(word)) for word in words(text)]
    return tuple(match[0].replace(",", "") for match in matches if match)
