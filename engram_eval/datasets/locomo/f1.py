"""LoCoMo's official F1, which has a rule for each category.

Source: snap-research/locomo, task_eval/evaluation.py (`f1`, `eval_question_answering`).
"""

from __future__ import annotations

import re

from engram_eval.metrics.f1 import token_f1
from engram_eval.types import Question

_COMMA, _SEMICOLON = re.compile("[,，、]"), re.compile("[;；]")


def locomo_f1(question: Question, answer: str) -> float | None:
    """F1 by the official rule; None for an unanswerable question outside the category `adversarial`, which has no rule."""
    if question.unanswerable and question.category != "adversarial":
        return None
    return official_f1(answer, question.gold, question.category)


def official_f1(answer: str, gold: str, category: str) -> float:
    """F1 of an answer, from 0 to 1, by the official rule for the category.

    `adversarial`: 1 if the answer contains one of the two phrases that the script accepts as an abstention.
    `multi-hop`: both are split at commas; mean over the gold's parts of the best F1 that a part of the answer reaches.
    `open-domain`: the gold counts up to its first semicolon, after which it gives reasons. All others: token F1. The commas
    and semicolons of Chinese and Japanese, which the script does not know, count too.
    """
    if category == "adversarial":
        lower = answer.lower()
        return float("no information available" in lower or "not mentioned" in lower)
    if category == "multi-hop":
        gold_parts, answer_parts = _COMMA.split(gold), _COMMA.split(answer)
        return sum(max(token_f1(part, g) for part in answer_parts) for g in gold_parts) / len(gold_parts)
    if category == "open-domain":
        gold = _SEMICOLON.split(gold)[0]
    return token_f1(answer, gold)
