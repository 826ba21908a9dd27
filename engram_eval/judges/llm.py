"""The LLM judge: by the benchmark's rules (`JudgeRules`) or by the user's own prompt, by majority over votes.

Under the rules, question, gold and answer reach the model as one JSON object, so that nothing in them can close a delimiter.
Under the user's own prompt, they are inserted where it has places for them, and nothing is added to its words.
"""

from __future__ import annotations

import json
from pathlib import Path

from engram_eval.datasets.benchmark import JudgeRules
from engram_eval.errors import UserError
from engram_eval.judges.reply import REPLIES, ReplyForm, Schema
from engram_eval.language.prompt import Prompt, read_prompt
from engram_eval.language.prompt_file import Messages, PromptFile, date_in_words
from engram_eval.metrics.cost import sum_or_none
from engram_eval.services import RoleModel, RoleServices
from engram_eval.types import Question, Verdict

_MAX_TOKENS = 512
_PROMPTS = Path(__file__).parent / "prompts"
DATA = read_prompt(_PROMPTS, "judge_data_v1")
"""The text after every rule. It declares the graded material to be data and defines the form of the verdict."""
ABSTENTION = read_prompt(_PROMPTS, "judge_abstention_v1")
"""The rule for unanswerable questions, for benchmarks that have none of their own."""


class LLMJudge:
    """`variant` names one of the rules' variants; None is the default rule. `own`: the user's prompt, in place of the rules."""

    agreement = ""
    max_tokens = _MAX_TOKENS

    def __init__(
        self,
        llm: RoleModel,
        model: str,
        *,
        rules: JudgeRules,
        variant: str | None = None,
        own: PromptFile | None = None,
        votes: int = 1,
    ) -> None:
        self.name = f"llm:{variant}" if variant else "llm"
        self.model = model
        self._llm = llm
        self.votes = votes
        self._rule = rules.variants[variant] if variant else rules.default
        self._by_category = rules.by_category
        self._abstention = rules.abstention or ABSTENTION
        self._own = own
        rule_prompts = (DATA, self._rule, *self._by_category.values(), self._abstention)
        self.prompts: tuple[Prompt, ...] = (own.prompt,) if own else rule_prompts
        self.prompt_file = own.path.name if own else None

    async def judge(self, question: Question, answer: str) -> Verdict:
        messages, form = self.messages(question, answer), self._reply_form(question)
        votes, reasons, seconds, dollars = [], [], 0.0, list[float | None]()
        for repeat in range(self.votes):
            completion = await self._llm.chat(
                messages=messages, schema=form.schema, max_tokens=self.max_tokens, repeat=repeat, accepts=form.accepts
            )
            vote, explanation = form.read(completion)
            votes.append(vote)
            reasons.append(explanation)
            seconds += completion.latency_s
            dollars.append(completion.cost_usd)
        correct = 2 * sum(votes) > len(votes)
        reason = next(text for vote, text in zip(votes, reasons, strict=True) if vote == correct)
        return Verdict(correct, tuple(votes), reason, latency_s=seconds, cost_usd=sum_or_none(dollars))

    def messages(self, question: Question, answer: str) -> list[dict[str, str]]:
        """The messages sent to the model, together with `schema`."""
        if self._own:
            date = date_in_words(question.asked_at)
            values = {"question": question.text, "gold": question.gold, "answer": answer, "date": date}
            return self._own_messages(self._own, question).fill(values)
        rule = self._abstention if question.unanswerable else self._by_category.get(question.category, self._rule)
        material = {"question": question.text, "gold answer": question.gold, "answer to grade": answer}
        return [
            {"role": "system", "content": f"{rule.text}\n\n{DATA.text}"},
            {"role": "user", "content": json.dumps(material, ensure_ascii=False)},
        ]

    def schema(self, question: Question) -> Schema | None:
        """The JSON schema that the reply must satisfy; None if the user's own prompt asks for plain text."""
        return self._reply_form(question).schema

    def _reply_form(self, question: Question) -> ReplyForm:
        return REPLIES[self._own_messages(self._own, question).reply if self._own else "verdict"]

    @staticmethod
    def _own_messages(own: PromptFile, question: Question) -> Messages:
        return own.messages_for(question.category, unanswerable=question.unanswerable)


def make_llm_judge(services: RoleServices, variant: str = "") -> LLMJudge:
    """The judge of the run's benchmark, or with the user's own prompt: `llm`, or `llm:VARIANT`.

    Raises UserError for a variant that the benchmark does not have, and for a prompt file that does not fit it.
    """
    rules = services.benchmark.judge_rules
    if variant == "standard":  # the default rule's own name
        variant = ""
    if variant and variant not in rules.variants:
        known = " or ".join(["llm", *(f"llm:{known}" for known in rules.variants)])
        raise UserError(f"--judge llm:{variant}: {services.benchmark.name} has no judge {variant!r}; name {known}")
    own = services.own_prompt
    if own and variant:
        raise UserError(f"--judge llm:{variant}: names a rule, and --judge-prompt replaces the rules; name --judge llm")
    if own:
        own.require_categories(services.benchmark.name, services.benchmark.categories)
    llm = services.llm
    return LLMJudge(llm, llm.model, rules=rules, variant=variant or None, own=own, votes=services.votes)
