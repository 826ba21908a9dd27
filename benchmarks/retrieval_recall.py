"""Evidence recall of a memory at LoCoMo's published budget, for the scripts that choose weights by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engram_eval.backends.backend import Services
from engram_eval.metrics.evidence import evidence_found
from engram_eval.metrics.named_turns import NamedTurns
from engram_eval.registry import open_backend
from engram_eval.types import Sample

_BUDGET = 916

RecallPairs = list[tuple[float, float]]
"""For each question its evidence recall, and 1 if all of its evidence was retrieved, else 0."""


async def evidence_recall(backend: str, sample: Sample, settings: Mapping[str, str], services: Services) -> RecallPairs:
    """For the answerable questions of one conversation that have evidence."""
    turns = {turn.id: turn for session in sample.conversation.sessions for turn in session.turns}
    names = NamedTurns(turns, paraphrased=False)
    memory = await open_backend(backend, settings).open(sample.conversation.info, services)
    for session in sample.conversation.sessions:
        await memory.ingest(session)  # stores nothing after the first time: the records do not depend on the weights
    pairs = []
    for question in sample.questions:
        if question.evidence and not question.unanswerable:
            context = names.held(await memory.retrieve(question.text, asked_at=None, budget=_BUDGET))
            recall = len(evidence_found(question, turns, context)) / len(question.evidence)
            pairs.append((recall, float(recall == 1)))
    await memory.close()
    return pairs


def print_row(name: str, by_conversation: Sequence[RecallPairs]) -> None:
    """Print mean evidence recall and all-evidence, and the evidence recall of each conversation."""
    recall, all_evidence = np.mean([pair for pairs in by_conversation for pair in pairs], axis=0)
    each = " ".join(f"{np.mean([recall for recall, _ in pairs]):7.3f}" for pairs in by_conversation)
    print(f"{name:22} {recall:.4f} {all_evidence:.4f} {each}")
