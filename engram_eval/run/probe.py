"""The judge probe of a run."""

from __future__ import annotations

from collections.abc import Collection

from engram_eval.datasets.dataset import Dataset
from engram_eval.judges.judge import Judge
from engram_eval.judges.probe import probe_judge
from engram_eval.results.folder import RunFolder
from engram_eval.run.settings import Settings


async def probe_judge_of(
    judge: Judge, dataset: Dataset, chosen: Collection[str], settings: Settings, folder: RunFolder
) -> None:
    """Measures a run's LLM judge by answers whose right verdict is known, and keeps what was found in the folder."""
    if settings.judge_probe and judge.name.partition(":")[0] == "llm":
        asked = [question for sample in dataset.samples() for question in sample.questions if question.id in chosen]
        found, lines = await probe_judge(judge, asked, seed=settings.seed, limit=settings.max_in_flight)
        folder.keep_probe(found, lines)
