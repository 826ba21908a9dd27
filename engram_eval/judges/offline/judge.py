"""The offline judge: no key, no network, deterministic, about a millisecond per answer.

It is a logistic model over the features of `features.py`, behind rules on the form of an answer. All readings of an answer
must be right. benchmarks/fit_offline_judge.py fits the model to recorded verdicts of an LLM judge; parameters.json holds
its coefficients, what it was fitted to and how well it agrees.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from engram_eval.judges.offline.abstention import abstains
from engram_eval.judges.offline.features import compare
from engram_eval.judges.offline.readings import readings
from engram_eval.judges.offline.yes_no_rule import polarity
from engram_eval.language.words import words
from engram_eval.services import RoleServices
from engram_eval.types import Question, Verdict

PARAMETERS = Path(__file__).with_name("parameters.json")


class OfflineJudge:
    """Predicts the verdict of the LLM judge that it was fitted to. `agreement` says how often it is right."""

    name = "offline"

    def __init__(self) -> None:
        parameters = _parameters()
        self._intercept: float = parameters["intercept"]
        self._threshold: float = parameters["threshold"]
        self._coefficients: Mapping[str, float] = parameters["coefficients"]
        llm, measured = parameters["verdicts_of"], parameters["agreement"]["conversation_left_out"]
        self.agreement = (
            f"agrees with {llm} on {measured['accuracy']:.1%} of {parameters['answers']:,} recorded LoCoMo answers "
            f"(Cohen's κ {measured['kappa']:.2f}, nested leave-one-conversation-out)"
        )

    async def judge(self, question: Question, answer: str) -> Verdict:
        correct, reason = self._decide(question, answer)
        return Verdict(correct, (correct,), reason)

    def _decide(self, question: Question, answer: str) -> tuple[bool, str]:
        if question.unanswerable and words(answer[:1_000]):
            abstained = abstains(answer)
            return abstained, "abstains, as it should" if abstained else "asserts an answer where there is none"
        whole, *others = readings(question.text, question.gold, answer)
        correct, reason = self._decide_reading(question, whole)
        for other in others if correct else ():
            if not self._decide_reading(question, other)[0]:
                return False, f"{reason}; but it denies this, or offers it as one of several"
        return correct, reason

    def _decide_reading(self, question: Question, answer: str) -> tuple[bool, str]:
        if decided := decide_without_model(question.gold, answer):
            return decided
        comparison = compare(question.text, question.gold, answer)
        if comparison.ruled_out:
            return False, f"{comparison.reason}; wrong by rule"
        score = self._intercept + sum(self._coefficients.get(k, 0.0) * v for k, v in comparison.features.items())
        probability = 1 / (1 + math.exp(-max(-50.0, min(50.0, score))))
        correct = probability >= self._threshold
        against_threshold = f"p={probability:.2f}, {'at least' if correct else 'under'} {self._threshold:.2f}"
        return correct, f"{comparison.reason}; {against_threshold}"


def decide_without_model(gold: str, answer: str) -> tuple[bool, str] | None:
    """Verdict and reason for an answer that is empty, abstains or is as long as a context; None for any other answer.

    "No, there is no record of it" answers a yes-or-no question: it is not taken as abstaining.
    """
    count = len(words(answer[:_READ]))
    if not count:
        return False, "the answer is empty"
    if count > max(_LONGEST, _LONGEST_TO_GOLD * len(words(gold))):
        return False, f"more than {_LONGEST} words: a context, not an answer"
    if not abstains(answer) or (polarity(gold) and polarity(answer)):
        return None
    expected = abstains(gold)
    return expected, "abstains, as the gold does" if expected else "abstains from a question that has an answer"


_READ = 20_000  # characters whose words are counted
_LONGEST = 250  # words; no system that was asked to answer needed 200
_LONGEST_TO_GOLD = 10  # times as many words as the gold


@cache
def _parameters() -> dict[str, Any]:
    parameters: dict[str, Any] = json.loads(PARAMETERS.read_text(encoding="utf-8"))
    return parameters


def make_offline_judge(_services: RoleServices) -> OfflineJudge:
    """It needs no services."""
    return OfflineJudge()
