"""The LLM judge: CORRECT or WRONG by the benchmark's rules (`JudgeRules`), by majority over votes.

Question, gold and answer reach the model as one JSON object, so that nothing in them can close a delimiter.
"""

from __future__ import annotations

import json
from pathlib import Path

from engram_eval.datasets.benchmark import JudgeRules
from engram_eval.errors import UserError
from engram_eval.language.prompt import Prompt, read_prompt
from engram_eval.metrics.cost import sum_or_none
from engram_eval.services import RoleModel, RoleServices
from engram_eval.types import Question, Verdict

_MAX_TOKENS = 512
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 600},
        "verdict": {"type": "string", "enum": ["CORRECT", "WRONG"]},
    },
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}
_PROMPTS = Path(__file__).parent / "prompts"
DATA = read_prompt(_PROMPTS, "judge_data_v1")
"""The text after every rule. It declares the graded material to be data and defines the form of the verdict."""
ABSTENTION = read_prompt(_PROMPTS, "judge_abstention_v1")
"""The rule for unanswerable questions, for benchmarks that have none of their own."""


class LLMJudge:
    """`variant` names one of the rules' variants; None is the default rule."""

    agreement = ""

    def __init__(
        self, llm: RoleModel, model: str, *, rules: JudgeRules, variant: str | None = None, votes: int = 1
    ) -> None:
        self.name = f"llm:{variant}" if variant else "llm"
        self.model = model
        self._llm = llm
        self.votes = votes
        self._rule = rules.variants[variant] if variant else rules.default
        self._by_category = rules.by_category
        self._abstention = rules.abstention or ABSTENTION
        self.prompts: tuple[Prompt, ...] = (DATA, self._rule, *self._by_category.values(), self._abstention)

    async def judge(self, question: Question, answer: str) -> Verdict:
        messages = self.messages(question, answer)
        votes, reasons, seconds, dollars = [], [], 0.0, list[float | None]()
        for repeat in range(self.votes):
            completion = await self._llm.chat(messages=messages, schema=SCHEMA, max_tokens=_MAX_TOKENS, repeat=repeat)
            reply: dict[str, str] = completion.data or {}
            votes.append(reply["verdict"] == "CORRECT")
            reasons.append(reply["reason"])
            seconds += completion.latency_s
            dollars.append(completion.cost_usd)
        correct = 2 * sum(votes) > len(votes)
        reason = next(text for vote, text in zip(votes, reasons, strict=True) if vote == correct)
        return Verdict(correct, tuple(votes), reason, latency_s=seconds, cost_usd=sum_or_none(dollars))

    def messages(self, question: Question, answer: str) -> list[dict[str, str]]:
        """The messages sent to the model, together with SCHEMA."""
        rule = self._abstention if question.unanswerable else self._by_category.get(question.category, self._rule)
        material = {"question": question.text, "gold answer": question.gold, "answer to grade": answer}
        return [
            {"role": "system", "content": f"{rule.text}\n\n{DATA.text}"},
            {"role": "user", "content": json.dumps(material, ensure_ascii=False)},
        ]


def make_llm_judge(services: RoleServices, variant: str = "") -> LLMJudge:
    """The judge of the run's benchmark: `llm`, or `llm:VARIANT`. Raises UserError for a variant that it does not have."""
    rules = services.benchmark.judge_rules
    if variant == "standard":  # the default rule's own name
        variant = ""
    if variant and variant not in rules.variants:
        known = " or ".join(["llm", *(f"llm:{known}" for known in rules.variants)])
        raise UserError(f"--judge llm:{variant}: {services.benchmark.name} has no judge {variant!r}; name {known}")
    llm = services.llm
    return LLMJudge(llm, llm.model, rules=rules, variant=variant or None, votes=services.votes)
