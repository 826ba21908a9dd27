"""The judge probe of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engram_eval.judges.probe import probe_judge

if TYPE_CHECKING:
    from engram_eval.results.folder import RunFolder
    from engram_eval.run.plan import Plan


async def probe_judge_of(plan: Plan, folder: RunFolder) -> None:
    """Measures the LLM judge of a run by answers whose right verdict is known, if the settings ask for it."""
    if plan.settings.judge_probe and plan.judge.name.partition(":")[0] == "llm":
        questions = [q for sample in plan.dataset.samples() for q in sample.questions if q.id in plan.chosen]
        limit = plan.settings.max_in_flight
        summary, lines = await probe_judge(plan.judge, questions, seed=plan.settings.seed, limit=limit)
        folder.keep_probe(summary, lines)
