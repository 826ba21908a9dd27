"""Measure how well the weights of `conditional` generalise to conversations that they were not chosen on.

    python benchmarks/tune_conditional.py locomo10.json

Prints evidence recall and all-evidence on categories 1-4 at the published budget, for the committed settings and
leave-one-conversation-out: for each conversation, the weights of the grid that are best on the other conversations.
ablations.toml measures what each part contributes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from retrieval_recall import RecallPairs, evidence_recall, print_row

from engram_eval.backends.backend import Services
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.embedders.static import StaticEmbedder
from engram_eval.language.tokens import token_counter

_GRID: dict[str, tuple[str, ...]] = {
    "after": ("0.5", "0.7", "0.9"),
    "before": ("0.3", "0.5"),
    "length": ("0", "0.4"),
    "speaker": ("1.0", "1.5"),
    "kernel": ("0.1", "0.2"),
}


def main(data: Path) -> None:
    samples = list(LOCOMO.open(data, {}).samples())
    names = [sample.conversation.id for sample in samples]
    with TemporaryDirectory() as folder:
        services = [Services(StaticEmbedder(), token_counter(), Path(folder) / name) for name in names]
        for service in services:
            service.folder.mkdir()

        def measure(settings: Mapping[str, str]) -> list[RecallPairs]:
            pairs = zip(samples, services, strict=True)
            return [asyncio.run(evidence_recall("conditional", sample, settings, service)) for sample, service in pairs]

        print(f"{'':22} recall    all   {' '.join(names)}")
        print_row("as committed", measure({}))
        grid = [dict(zip(_GRID, values, strict=True)) for values in itertools.product(*_GRID.values())]
        measured = [measure(settings) for settings in grid]
        left_out = []
        for held_out, name in enumerate(names):
            best = max(range(len(grid)), key=lambda g: _mean_without(measured[g], held_out))
            left_out.append(measured[best][held_out])
            print(f"chosen without {name}: {grid[best]}")
        print_row("leave-one-out", left_out)
        print_row("best on all (biased)", max(measured, key=lambda recall: _mean_without(recall, -1)))


def _mean_without(by_conversation: Sequence[RecallPairs], held_out: int) -> float:
    """Mean evidence recall over all conversations except the one with index `held_out`."""
    others = [recall for i, rows in enumerate(by_conversation) if i != held_out for recall, _ in rows]
    return float(np.mean(others))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure how well the weights of conditional generalise.")
    parser.add_argument("data", type=Path, help="a LoCoMo file")
    main(parser.parse_args().data)
