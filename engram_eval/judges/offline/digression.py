"""Is an answer mostly about other things, as a context is that was handed in as the answer?"""

from __future__ import annotations

import re

from engram_eval.judges.offline.parsed_text import ParsedText, parse_text
from engram_eval.language.words import sentences, stem, words

_FEWEST = 5  # sentences; fewer may explain an answer in words of their own
_NAME = re.compile(r"(?<=\s)[A-Z]\w+")


def is_mostly_about_other_things(question: ParsedText, gold: ParsedText, answer: ParsedText) -> bool:
    """Do most sentences, and at least five, share no content word with question or gold, names of the question aside?

    Every line of a dialogue begins with the name of a person whom the question names too, so names say nothing.
    """
    parts = sentences(answer.text)
    if len(parts) < _FEWEST:
        return False
    names = {stem(word) for name in _NAME.findall(question.text) for word in words(name)}
    topic = (question.known - names) | gold.known
    elsewhere = sum(topic.isdisjoint(parse_text(part, dated=False).content) for part in parts)
    return elsewhere >= _FEWEST and 2 * elsewhere > len(parts)
