"""Token F1 of an answer, as LoCoMo's official script computes it. `Benchmark.f1` applies it to a benchmark.

Source: snap-research/locomo, task_eval/evaluation.py (`normalize_answer`, `f1_score`), which stems with nltk's
PorterStemmer in its default mode. Snowball's "porter" (PyStemmer) gives other stems for 3 words in 100 of ordinary text
("day", "used", "tried"), and importing nltk takes over a second, so language/porter.py implements that
mode; the tests compare it with nltk's.

The official script splits at spaces, by which a Chinese, Japanese or Thai answer is one token. What is written without spaces
counts by characters instead, without punctuation, as in the official scripts of CMRC 2018 and MLQA (mixed segmentation).
"""

from __future__ import annotations

import re
import string
from collections import Counter

from engram_eval.language.porter import porter_stem
from engram_eval.language.scripts import is_unspaced, segmented
from engram_eval.metrics.measure import Measure
from engram_eval.tables.numbers import percent
from engram_eval.types import Question

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the|and)\b")


def token_f1(answer: str, gold: str) -> float:
    """Harmonic mean of precision and recall of stemmed tokens, from 0 to 1; a token counts as often as both texts have it."""
    answer_tokens, gold_tokens = _tokens(answer), _tokens(gold)
    common = sum((Counter(answer_tokens) & Counter(gold_tokens)).values())
    return 2 * common / (len(answer_tokens) + len(gold_tokens)) if common else 0.0


def answerable_f1(question: Question, answer: str) -> float | None:
    """Token F1; None for an unanswerable question, whose gold is not an answer but the reason why there is none."""
    return None if question.unanswerable else token_f1(answer, question.gold)


def _tokens(text: str) -> list[str]:
    plain = text.lower().translate(_PUNCTUATION)
    tokens = _ARTICLES.sub(" ", plain).split()
    if is_unspaced(plain):
        tokens = [part for token in tokens for part in (segmented(token) if is_unspaced(token) else [token])]
    return [porter_stem(token) for token in tokens]


F1 = Measure(
    "f1", "F1", lambda record: record.f1 if record.status == "ok" else None, percent, "high", "mean", "answers"
)
