"""The judge probe of a run."""

from __future__ import annotations

from collections.abc import Collection

from engram_eval.datasets.dataset import Dataset
from engram_eval.judges.judge import Judge
from engram_eval.judges.probe import probe_judge
from engram_eval.results.folder import RunFolder
from engram_eval.run.settings import Settings
from engram_eval.types import Question


async def probe_judge_of(
    judge: Judge, dataset: Dataset, chosen: Collection[str], settings: Settings, folder: RunFolder
) -> None:
    """Measures a run's LLM judge on answers whose right verdict is known, and writes the result to the run's folder."""
    if settings.judge_probe and judge.name.partition(":")[0] == "llm":
        questions = questions_to_probe(dataset, chosen)
        summary, lines = await probe_judge(judge, questions, seed=settings.seed, limit=settings.max_in_flight)
        folder.keep_probe(summary, lines)


def questions_to_probe(dataset: Dataset, chosen: Collection[str]) -> list[Question]:
    """The chosen questions whose gold is an answer."""
    rubrics = dataset.benchmark.rubric_categories
    questions = (question for sample in dataset.samples() for question in sample.questions)
    return [question for question in questions if question.id in chosen and question.category not in rubrics]
