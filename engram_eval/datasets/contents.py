"""What a dataset holds, by reading all of it: sizes, the loader's notes, differences from the published file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from engram_eval.datasets.dataset import Dataset, Notes


@dataclass(frozen=True, slots=True)
class Contents:
    conversations: int
    sessions: int
    turns: int
    evidence: int
    """Evidence turns, summed over the questions."""
    questions: dict[str, int]
    """By category, in the benchmark's order."""
    notes: Notes
    differences: list[str]
    """From the published facts, a phrase each; empty if these hold or none are known."""


def read_contents(dataset: Dataset) -> Contents:
    """Raises UserError at the first fault of the data."""
    notes = Notes()
    questions: Counter[str] = Counter()
    conversations: list[str] = []
    sessions = turns = evidence = 0
    for sample in dataset.samples(notes):
        conversations.append(sample.conversation.id)
        sessions += len(sample.conversation.sessions)
        turns += sum(len(session.turns) for session in sample.conversation.sessions)
        questions.update(question.category for question in sample.questions)
        evidence += sum(len(question.evidence) for question in sample.questions)
    return Contents(
        conversations=len(conversations),
        sessions=sessions,
        turns=turns,
        evidence=evidence,
        questions={category: questions[category] for category in dataset.benchmark.categories},
        notes=notes,
        differences=dataset.differences(dict(questions), frozenset(conversations)),
    )
