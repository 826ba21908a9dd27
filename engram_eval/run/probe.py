"""The judge probe of a run."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from engram_eval.datasets.dataset import Dataset
from engram_eval.judges.probe import probe_judge
from engram_eval.run.models import MAX_IN_FLIGHT
from engram_eval.types import Question

if TYPE_CHECKING:
    from engram_eval.results.folder import RunFolder
from engram_eval.run.plan import Plan


async def probe_judge_of(plan: Plan, folder: RunFolder) -> None:
    """Measures the LLM judge of a run on answers whose right verdict is known, if the settings ask for it."""
    if plan.settings.judge_probe and plan.judge.name.partition(":")[0] == "llm":
        questions = questions_to_probe(plan.dataset, plan.chosen)
        limit = plan.settings.max_in_flight or MAX_IN_FLIGHT
        summary, results = await probe_judge(plan.judge, questions, seed=plan.settings.seed, limit=limit)
        folder.keep_probe(summary, results)


def questions_to_probe(dataset: Dataset, chosen: Collection[str]) -> list[Question]:
    """The chosen questions whose gold is an answer."""
    rubrics = dataset.benchmark.rubric_categories
    questions = (question for sample in dataset.samples() for question in sample.questions)
    return [question for question in questions if question.id in chosen and question.category not in rubrics]
