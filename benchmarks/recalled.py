"""How much of the evidence a memory recalls at LoCoMo's published budget, for the scripts that choose weights by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engram_eval.backends.backend import Services
from engram_eval.metrics.evidence import evidence_found
from engram_eval.registry import open_backend
from engram_eval.types import Sample

_BUDGET = 916

Shares = list[tuple[float, float]]
"""Evidence recall and all-evidence, a pair a question."""


async def evidence_recall(backend: str, sample: Sample, settings: Mapping[str, str], services: Services) -> Shares:
    """Of the questions of one conversation that have evidence."""
    turns = {turn.id: turn for session in sample.conversation.sessions for turn in session.turns}
    memory = await open_backend(backend, settings).open(sample.conversation.info, services)
    for session in sample.conversation.sessions:
        await memory.ingest(session)  # held already after the first time: the records do not depend on the weights
    out = []
    for question in sample.questions:
        if question.evidence and not question.unanswerable:
            context = await memory.retrieve(question.text, asked_at=None, budget=_BUDGET)
            share = len(evidence_found(question, turns, context, paraphrased=False)) / len(question.evidence)
            out.append((share, float(share == 1)))
    await memory.close()
    return out


def print_row(name: str, by_conversation: Sequence[Shares]) -> None:
    recall, everything = np.mean([row for rows in by_conversation for row in rows], axis=0)
    each = " ".join(f"{np.mean([share for share, _ in rows]):7.3f}" for rows in by_conversation)
    print(f"{name:22} {recall:.4f} {everything:.4f} {each}")
