"""Whether contexts keep the token budget."""

from __future__ import annotations

from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import first_dialogue
from engram_eval.conformance.failed import Failed, NotApplicable
from engram_eval.conformance.trial import BUDGET, Trial

_BUDGETS = (BUDGET, 100, 1, 0)


async def _budget(trial: Trial) -> None:
    if trial.info.context_limit == "none":
        raise NotApplicable('the backend sets context_limit = "none": no budget applies')
    dialogue = first_dialogue()
    async with trial.filled(dialogue) as memory:
        for budget in (*_BUDGETS, None):
            remark = "without a budget (budget=None)" if budget is None else f"at budget={budget}"
            context = await memory.retrieve(dialogue.wide_question, budget=budget, remark=remark)
            count = trial.tokens.count(context.text)
            if budget is not None and count > budget:
                raise Failed(
                    f"at budget={budget} the context has {count} tokens, and a run cuts off its end; leave out what does not "
                    "fit, counting with services.tokens.count(text), or shorten it with services.tokens.cut(text, budget)"
                )


CHECKS = (
    Check("budget", f"A context keeps to the token at budgets of {BUDGET}, 100, 1 and 0; None is no limit.", _budget),
)
