"""Which dataset a run uses and which of its questions it asks."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from engram_eval.datasets import catalogue
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.datasets.dataset import Dataset, Notes
from engram_eval.errors import UserError
from engram_eval.run.settings import Settings


def named_benchmark(settings: Settings) -> tuple[Benchmark | None, Path | None]:
    """The benchmark that the settings name or that the file they name belongs to, and the file.

    Without `data`, the file is the one that ENGRAM_EVAL_DATA names. None for what neither names.
    """
    data = Path(settings.data).expanduser() if settings.data else None
    if settings.dataset != "auto":
        return catalogue.benchmark(settings.dataset), data
    variable = os.environ.get("ENGRAM_EVAL_DATA")
    if data is None and variable and Path(variable).expanduser().is_file():
        data = Path(variable).expanduser()
    return (catalogue.recognise(data), data) if data else (None, None)


def open_dataset(settings: Settings) -> tuple[Dataset, str]:
    """The dataset and why it is this one.

    `auto`: the benchmark that recognises the file named by `data` or ENGRAM_EVAL_DATA. If neither names a file, LoCoMo;
    if LoCoMo is not available, the synthetic dialogues, unless ENGRAM_EVAL_DATA is set: then UserError is raised.
    """
    options = settings.options_of("dataset")
    benchmark, data = named_benchmark(settings)
    if benchmark:
        return _opened(benchmark, data, options, skip_bad_records=settings.skip_bad_records)
    if options:
        dataset, why = _opened(catalogue.benchmark("synthetic"), None, options)
        return dataset, f"{why}, because --set dataset.… needs a generated dataset"
    try:
        return _opened(catalogue.benchmark("locomo"), None, options, skip_bad_records=settings.skip_bad_records)
    except UserError as missing:
        if os.environ.get("ENGRAM_EVAL_DATA"):
            raise
        dataset, why = _opened(catalogue.benchmark("synthetic"), None, options)
        return dataset, f"{why}, because LoCoMo itself is not available: {missing}"


def _opened(
    benchmark: Benchmark, data: Path | None, options: dict[str, str], *, skip_bad_records: bool = False
) -> tuple[Dataset, str]:
    try:
        dataset = replace(benchmark.open(data, options), skip_bad_records=skip_bad_records)
    except UserError:
        raise
    except Exception as error:  # whatever somebody else's benchmark raises
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"dataset {benchmark.name!r} cannot be opened ({type(error).__name__}: {reason})") from error
    return dataset, dataset.origin


def choose_questions(dataset: Dataset, settings: Settings, notes: Notes | None = None) -> dict[str, str]:
    """The questions to ask, each with its conversation: of the chosen categories, all or a random sample of `limit`.

    `notes` gets the oddities of the whole dataset. Raises UserError if there is none, and for the first record that cannot be
    read, unless such records are skipped.
    """
    notes = notes if notes is not None else Notes()
    asked = [(q, sample.conversation.id) for sample in dataset.samples(notes) for q in sample.questions]
    if not asked and notes.faults:
        raise notes.faults[0]
    categories = chosen_categories(dataset, settings)
    questions = {question.id: conversation for question, conversation in asked if question.category in categories}
    if not questions:
        raise UserError(f"{dataset.origin}: has no question of the categories {', '.join(categories)}; name others")
    if settings.limit is None:
        return questions
    # By hash, so that the choice depends on no order, and a larger limit keeps the questions of a smaller one.
    ranked = sorted(questions, key=lambda id_: hashlib.sha256(f"{settings.seed}:{id_}".encode()).digest())
    chosen = frozenset(ranked[: settings.limit])
    return {question_id: conversation for question_id, conversation in questions.items() if question_id in chosen}


def chosen_categories(dataset: Dataset, settings: Settings) -> tuple[str, ...]:
    """The categories that the settings name, by name or by number from 1; all if they name none."""
    if settings.categories is None:
        return dataset.benchmark.categories
    numbered = {str(i): name for i, name in enumerate(dataset.benchmark.categories, start=1)}
    categories = tuple(numbered.get(name, name) for name in settings.categories)
    for name in categories:
        if name not in dataset.benchmark.categories:
            known = ", ".join(f"{i} {category}" for i, category in numbered.items())
            raise UserError(f"--categories: {dataset.benchmark.name} has no category {name!r}; it has {known}")
    return categories
