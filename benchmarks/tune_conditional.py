"""How good are conditional's weights where they were not chosen? (What each part is worth: ablations.toml.)

    python benchmarks/tune_conditional.py locomo10.json

Prints, on categories 1-4 at the published budget, the committed settings by conversation, and leave-one-conversation-out: for
each conversation the weights of the grid that are best on the others, measured on it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from recalled import Shares, evidence_recall, print_row

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
        for each in services:
            each.folder.mkdir()

        def measure(settings: Mapping[str, str]) -> list[Shares]:
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
        print_row("best on all (biased)", max(measured, key=lambda m: _mean_without(m, -1)))


def _mean_without(by_conversation: Sequence[Shares], held_out: int) -> float:
    rest = [share for i, rows in enumerate(by_conversation) if i != held_out for share, _ in rows]
    return float(np.mean(rest))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How good conditional's weights are where they were not chosen.")
    parser.add_argument("data", type=Path, help="LoCoMo's file")
    main(parser.parse_args().data)
