"""Is one word another word in a slip of the pen?"""

from __future__ import annotations

MIN_GLUED = 5  # letters; shorter words are inside others by chance
_MIN_MISTYPED = 7  # letters; shorter words that differ in one letter are often two different words
_MAX_LETTERS = 40  # longer words are not searched for their parts


def is_misspelled(word: str, known: frozenset[str]) -> bool:
    """Does a known word differ from `word` only by a slip of the pen?

    Either `word` begins or ends with a known word ("fiveparrot"), or one letter is missing or extra, or two neighbouring
    letters are swapped.
    """
    size = len(word)
    if size > _MAX_LETTERS:
        return False
    if any(word[:i] in known or word[-i:] in known for i in range(MIN_GLUED, size - 2)):
        return True
    if size < _MIN_MISTYPED:
        return False
    cuts = ((word[:i], word[i:]) for i in range(1, size))
    if any(head + tail[1:] in known or head + tail[1:2] + tail[:1] + tail[2:] in known for head, tail in cuts):
        return True
    return any(len(longer) == size + 1 and longer[0] == word[0] and _has_one_more(longer, word) for longer in known)


def _has_one_more(longer: str, word: str) -> bool:
    i = next((i for i, letter in enumerate(word) if letter != longer[i]), len(word))
    return longer[i + 1 :] == word[i:]
