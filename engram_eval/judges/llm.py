"""The LLM judges: CORRECT or WRONG by the rule of the benchmark, by majority over votes.

LoCoMo `standard` is the generous judge that the field quotes, `strict` asks for the very fact. LongMemEval has a rule per
question type (Wu et al., evaluate_qa.py): off-by-one counts of days pass in temporal questions, an updated answer in
knowledge updates, a rubric in preferences. Unanswerable questions ask for abstention in both benchmarks.

Question, gold and answer reach the model as one JSON object, so that nothing in them can close a delimiter.
"""

from __future__ import annotations

import json
from typing import Literal

from engram_eval.llm import LLM
from engram_eval.metrics.cost import sum_or_none
from engram_eval.prompts import Prompt, prompt
from engram_eval.types import Question, Verdict

_MAX_TOKENS = 2048
SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "verdict": {"type": "string", "enum": ["CORRECT", "WRONG"]}},
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}
_LONGMEMEVAL = {
    "temporal-reasoning": "judge_longmemeval_temporal_v1",
    "knowledge-update": "judge_longmemeval_update_v1",
    "single-session-preference": "judge_longmemeval_preference_v1",
}
Variant = Literal["standard", "strict"]


class LLMJudge:
    agreement = ""

    def __init__(self, llm: LLM, model: str, *, benchmark: str, variant: Variant = "standard", votes: int = 1) -> None:
        self.name = "llm" if variant == "standard" else f"llm:{variant}"
        self.model = model
        self._llm = llm
        self.votes = votes
        self._data = prompt("judge_data_v1")
        self._rule = prompt(f"judge_locomo_{variant}_v1" if benchmark == "locomo" else "judge_longmemeval_v1")
        self._by_category = {k: prompt(v) for k, v in _LONGMEMEVAL.items()} if benchmark == "longmemeval" else {}
        self._abstention = prompt("judge_abstention_v1")
        self.prompts: tuple[Prompt, ...] = (self._data, self._rule, *self._by_category.values(), self._abstention)

    async def judge(self, question: Question, answer: str) -> Verdict:
        messages = self.messages(question, answer)
        votes, reasons, seconds, dollars = [], [], 0.0, list[float | None]()
        for repeat in range(self.votes):
            completion = await self._llm.chat(
                role="judge",
                model=self.model,
                messages=messages,
                schema=SCHEMA,
                max_tokens=_MAX_TOKENS,
                repeat=repeat,
            )
            said: dict[str, str] = completion.data or {}
            votes.append(said["verdict"] == "CORRECT")
            reasons.append(said["reason"])
            seconds += completion.latency_s
            dollars.append(completion.cost_usd)
        correct = 2 * sum(votes) > len(votes)
        reason = next(text for vote, text in zip(votes, reasons, strict=True) if vote == correct)
        return Verdict(correct, tuple(votes), reason, latency_s=seconds, cost_usd=sum_or_none(dollars))

    def messages(self, question: Question, answer: str) -> list[dict[str, str]]:
        """What the model is sent, together with SCHEMA."""
        rule = self._abstention if question.unanswerable else self._by_category.get(question.category, self._rule)
        material = {"question": question.text, "gold answer": question.gold, "answer to grade": answer}
        return [
            {"role": "system", "content": f"{rule.text}\n\n{self._data.text}"},
            {"role": "user", "content": json.dumps(material, ensure_ascii=False)},
        ]
