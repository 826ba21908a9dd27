"""LoCoMo's official F1, with its rule for each category.

Source: snap-research/locomo, task_eval/evaluation.py (`normalize_answer`, `f1_score`, `f1`,
`eval_question_answering`), which stems with nltk's PorterStemmer in its default mode. Snowball's "porter" (PyStemmer)
gives other stems for 3 words in 100 of ordinary text ("day", "used", "tried"), and importing nltk takes over a
second, so that mode is written out below; the tests hold it against nltk's.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from engram_eval.language.porter import porter_stem
from engram_eval.metrics.measure import Measure
from engram_eval.tables.numbers import percent
from engram_eval.types import Question

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the|and)\b")


def official_f1(answer: str, gold: str, category: str) -> float:
    """F1 of an answer, from 0 to 1, by the official rule for the category.

    `adversarial`: 1 if the answer says that there is nothing to say, in one of the two phrases that the script knows.
    `multi-hop`: both are cut at commas; mean over the gold's parts of the best F1 that a part of the answer reaches.
    `open-domain`: the gold counts up to its first semicolon, after which it gives reasons. All others: plain F1.
    """
    if category == "adversarial":
        lower = answer.lower()
        return float("no information available" in lower or "not mentioned" in lower)
    if category == "multi-hop":
        answer_parts = [_tokens(part) for part in answer.split(",")]
        gold_parts = [_tokens(part) for part in gold.split(",")]
        return sum(max(_f1(a, g) for a in answer_parts) for g in gold_parts) / len(gold_parts)
    if category == "open-domain":
        gold = gold.split(";")[0]
    return _f1(_tokens(answer), _tokens(gold))


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of tokens, each counted as often as it stands in both."""
    same = sum((Counter(answer) & Counter(gold)).values())
    return 2 * same / (len(answer) + len(gold)) if same else 0.0


def _tokens(text: str) -> list[str]:
    plain = text.lower().translate(_PUNCTUATION)
    return [porter_stem(word) for word in _ARTICLES.sub(" ", plain).split()]


def question_f1(question: Question, answer: str) -> float | None:
    """LoCoMo's official F1; None where the gold is not an answer but a remark on why there is none."""
    if question.unanswerable and question.category != "adversarial":
        return None
    return official_f1(answer, question.gold, question.category)


F1 = Measure(
    "f1", "F1", lambda record: record.f1 if record.status == "ok" else None, percent, "high", "mean", "answers"
)
