"""How good are a memory's weights where they were not chosen? (What each part is worth: ablations.toml.)

    python benchmarks/tune.py engram locomo10.json
    python benchmarks/tune.py conditional locomo10.json

Prints, on categories 1-4 at the published budget, the committed settings by conversation, and leave-one-conversation-out: for
each conversation the weights of the grid that are best on the others, measured on it.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from engram_eval.backends import Services
from engram_eval.datasets.locomo import open_locomo
from engram_eval.embedding import StaticEmbedder
from engram_eval.evidence import evidence_found
from engram_eval.registry import open_backend
from engram_eval.tokens import token_counter
from engram_eval.types import Sample

_BUDGET = 916
_GRIDS: dict[str, dict[str, tuple[str, ...]]] = {
    "engram": {
        "dense": ("0.5", "1.0", "1.5"),
        "turn_before": ("0.25", "0.4", "0.6"),
        "turn_after": ("0.1", "0.25", "0.4"),
        "speaker": ("0.5", "1.0", "1.5"),
    },
    "conditional": {
        "after": ("0.5", "0.7", "0.9"),
        "before": ("0.3", "0.5"),
        "length": ("0", "0.4"),
        "speaker": ("1.0", "1.5"),
        "kernel": ("0.1", "0.2"),
    },
}


async def evidence_recall(
    backend: str, sample: Sample, settings: Mapping[str, str], services: Services
) -> list[tuple[float, float]]:
    """Evidence recall and all-evidence of each question of one conversation."""
    turns = {turn.id: turn for session in sample.conversation.sessions for turn in session.turns}
    memory = await open_backend(backend, settings).open(sample.conversation.info, services)
    for session in sample.conversation.sessions:
        await memory.ingest(session)  # held already after the first time: the records do not depend on the weights
    out = []
    for question in sample.questions:
        if question.evidence and not question.unanswerable:
            context = await memory.recall(question.text, asked_at=None, budget=_BUDGET)
            share = len(evidence_found(question, turns, context, paraphrased=False)) / len(question.evidence)
            out.append((share, float(share == 1)))
    await memory.close()
    return out


def main(backend: str, data: Path) -> None:
    samples = list(open_locomo(data, {}).samples())
    names = [sample.conversation.id for sample in samples]
    with TemporaryDirectory() as folder:
        services = [Services(StaticEmbedder(), token_counter(), Path(folder) / name) for name in names]
        for each in services:
            each.folder.mkdir()

        def measure(settings: Mapping[str, str]) -> list[list[tuple[float, float]]]:
            pairs = zip(samples, services, strict=True)
            return [asyncio.run(evidence_recall(backend, sample, settings, service)) for sample, service in pairs]

        print(f"{'':22} recall    all   {' '.join(names)}")
        _print("as committed", measure({}))
        of = _GRIDS[backend]
        grid = [dict(zip(of, values, strict=True)) for values in itertools.product(*of.values())]
        measured = [measure(settings) for settings in grid]
        left_out = []
        for held_out, name in enumerate(names):
            best = max(range(len(grid)), key=lambda g: _mean_without(measured[g], held_out))
            left_out.append(measured[best][held_out])
            print(f"chosen without {name}: {grid[best]}")
        _print("leave-one-out", left_out)
        _print("best on all (biased)", max(measured, key=lambda m: _mean_without(m, -1)))


def _mean_without(by_conversation: list[list[tuple[float, float]]], held_out: int) -> float:
    rest = [share for i, rows in enumerate(by_conversation) if i != held_out for share, _ in rows]
    return float(np.mean(rest))


def _print(name: str, by_conversation: list[list[tuple[float, float]]]) -> None:
    recall, everything = np.mean([row for rows in by_conversation for row in rows], axis=0)
    each = " ".join(f"{np.mean([share for share, _ in rows]):7.3f}" for rows in by_conversation)
    print(f"{name:22} {recall:.4f} {everything:.4f} {each}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
