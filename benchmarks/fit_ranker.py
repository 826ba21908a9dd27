"""Fits the weights of engram's hybrid ranker, and says how they do on conversations that they were not fitted on.

    python benchmarks/fit_ranker.py locomo10.json
    python benchmarks/fit_ranker.py locomo10.json --embedder static

A conditional logit (McFadden 1974): the chance of a turn being evidence for a question is proportional to exp(weights x
parts), the competitors being the turns that the committed weights rank first. One set of weights for all embedders, fitted
on questions of LoCoMo's categories 1-4 with a small ridge penalty. Prints them, fitted on all conversations and without
each; and evidence recall and all evidence at the published budget: as committed, and leave-one-conversation-out.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from recalled import evidence_recall, print_row
from scipy.optimize import minimize

from engram_eval import registry
from engram_eval.backends import Services
from engram_eval.backends.engram.ranking import PARTS, HybridRanker, Weights
from engram_eval.backends.engram.store import Store
from engram_eval.datasets.locomo import open_locomo
from engram_eval.embedding import Embedder
from engram_eval.tokens import token_counter
from engram_eval.types import Sample

Floats = npt.NDArray[np.float64]

_COMPETITORS = 160
_RIDGE = 1e-3


async def cases(sample: Sample, services: Services) -> tuple[Floats, Floats]:
    """Of each question of a conversation that engram has ingested into the services' folder: the parts of its evidence and
    its competitors, shape (questions, turns, parts), and the share of the evidence that each turn is (questions, turns)."""
    embedder = services.embedder
    store = Store(services.folder / "engram.sqlite", embedder=embedder.name, dimensions=embedder.dimensions)
    stored = store.load()
    store.close()
    ranker = HybridRanker(stored, embedder, Weights())
    committed = np.array([getattr(Weights(), part) for part in PARTS])
    ids = [turn.turn.id for turn in stored.turns]
    of_turns, shares = [], []
    for question in sample.questions:
        if question.evidence and not question.unanswerable:
            parts = np.stack(list((await ranker.parts(question.text)).values()), axis=1)
            evidence = np.isin(ids, question.evidence)
            kept = np.argsort(-(parts @ committed) - 1e6 * evidence, kind="stable")[:_COMPETITORS]
            of_turns.append(parts[kept])
            shares.append(evidence[kept] / evidence.sum())
    return np.stack(of_turns), np.stack(shares)


def fit(chosen: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The weights of the largest penalised likelihood; a question with several evidence turns shares its vote among them."""

    def loss(weights: Floats) -> tuple[float, Floats]:
        total, slope = 0.0, np.zeros(len(PARTS))
        for parts, shares in chosen:
            scores = parts @ weights
            scores -= scores.max(axis=1, keepdims=True)
            logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
            total -= float((shares * logs).sum())
            slope += np.tensordot(np.exp(logs) - shares, parts, axes=2)
        questions = sum(len(shares) for _, shares in chosen)
        return total / questions + _RIDGE * float(weights @ weights), slope / questions + 2 * _RIDGE * weights

    best: Floats = minimize(loss, np.zeros(len(PARTS)), jac=True, method="L-BFGS-B").x
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits the weights of engram's hybrid ranker.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--embedder", action="append", help="may be repeated (default: static and minilm)")
    arguments = parser.parse_args()
    samples = list(open_locomo(arguments.data, {}).samples())
    names = [sample.conversation.id for sample in samples]
    embedders: list[Embedder] = [
        registry.make("embedders", name) for name in arguments.embedder or ("static", "minilm")
    ]
    with TemporaryDirectory() as folder:
        services = [
            [Services(embedder, token_counter(), Path(folder) / f"{embedder.name}-{name}") for name in names]
            for embedder in embedders
        ]
        for service in (one for of in services for one in of):
            service.folder.mkdir()

        def measure(of: Sequence[Services], settings: Sequence[Mapping[str, str]]) -> list[list[tuple[float, float]]]:
            triples = zip(samples, settings, of, strict=True)
            return [asyncio.run(evidence_recall("engram", *triple)) for triple in triples]

        print(f"{'':24} recall    all   {' '.join(names)}")
        for of, embedder in zip(services, embedders, strict=True):
            print_row(f"{embedder.name}, as committed", measure(of, [{}] * len(names)))  # and ingests them all
        by_conversation = [[asyncio.run(cases(sample, of[i])) for of in services] for i, sample in enumerate(samples)]
        without = [
            fit([some for j, both in enumerate(by_conversation) if j != i for some in both])
            for i in range(len(samples))
        ]
        settings = [{part: str(w) for part, w in zip(PARTS, weights, strict=True)} for weights in without]
        for of, embedder in zip(services, embedders, strict=True):
            print_row(f"{embedder.name}, left one out", measure(of, settings))
        on_all = fit([some for both in by_conversation for some in both])
        print(f"\n{'weights':16}{'committed':>10}{'all':>10}  without {' '.join(names)}")
        for n, part in enumerate(PARTS):
            each = " ".join(f"{weights[n]:7.3f}" for weights in without)
            print(f"{part:16}{getattr(Weights(), part):>10.2f}{on_all[n]:>10.3f}          {each}")


if __name__ == "__main__":
    main()
