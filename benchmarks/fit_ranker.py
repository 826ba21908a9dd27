"""Fit the weights of engram's hybrid ranker, and measure them on conversations that they were not fitted to.

    python benchmarks/fit_ranker.py locomo10.json
    python benchmarks/fit_ranker.py locomo10.json --embedder static

The model is a conditional logit (McFadden 1974): the probability that a turn is evidence for a question is proportional to
exp(weights x parts), and its competitors are the turns that the committed weights rank first. One set of weights is fitted
for all embedders, on the questions of LoCoMo's categories 1-4, with a small ridge penalty. The script prints

    evidence recall and all-evidence at the published budget, for the committed weights and leave-one-conversation-out;
    the weights, fitted to all conversations and without each one;
    what each part contributes: the weights are fitted again without it, leave-one-conversation-out, and the script prints
    by how much the held-out evidence is less likely (nats per question, 95 % interval over questions), and the recall.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from retrieval_recall import RecallPairs, evidence_recall, print_row
from scipy.optimize import minimize

from engram_eval import registry
from engram_eval.backends.backend import Services
from engram_eval.backends.engram.ranking import PARTS, HybridRanker, Weights
from engram_eval.backends.engram.store import Store
from engram_eval.backends.engram.vector_search import VectorSearches
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.embedders.embedder import Embedder, Vectors
from engram_eval.language.tokens import token_counter
from engram_eval.types import Sample

Floats = npt.NDArray[np.float64]
Cases = tuple[Floats, Floats]
"""The values of the parts, shape (questions, turns, parts), and each turn's share of the evidence (questions, turns)."""

_COMPETITORS = 160
_RIDGE = 1e-3


class CachingEmbedder:
    """Embeds each text only once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self._vectors: dict[str, Vectors] = {}

    async def embed(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors |= dict(zip(new, await self._embedder.embed(new), strict=True))
        return np.array([self._vectors[text] for text in texts], np.float32).reshape(len(texts), self.dimensions)


async def training_cases(sample: Sample, services: Services) -> Cases:
    """The cases of one conversation, which engram has already ingested into the folder of `services`.

    The turns of a question are its evidence and the competitors that rank best by the committed weights.
    """
    embedder = services.embedder
    store = Store(services.folder / "engram.sqlite", embedder=embedder.name, dimensions=embedder.dimensions)
    stored = store.load()
    store.close()
    ranker = HybridRanker(stored, embedder, Weights(), VectorSearches("exact", services.folder, 0))
    committed = np.array([getattr(Weights(), part) for part in PARTS])
    ids = [turn.turn.id for turn in stored.turns]
    part_values, shares = [], []
    for question in sample.questions:
        if question.evidence and not question.unanswerable:
            parts = np.stack(list((await ranker.parts(question.text)).values()), axis=1)
            evidence = np.isin(ids, question.evidence)
            kept = np.argsort(-(parts @ committed) - 1e6 * evidence, kind="stable")[:_COMPETITORS]
            part_values.append(parts[kept])
            shares.append(evidence[kept] / evidence.sum())
    return np.stack(part_values), np.stack(shares)


def log_probabilities(parts: Floats, weights: Floats) -> Floats:
    """The log probability that each turn is the evidence, shape (questions, turns)."""
    scores: Floats = parts @ weights
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return scores


def fit(cases: Sequence[Cases], without: str | None = None) -> Floats:
    """The weights with the largest penalised likelihood. Several evidence turns of a question share its weight equally.

    `without` names a part whose weight is fixed at 0.
    """
    kept = np.array([part != without for part in PARTS], float)

    def loss(weights: Floats) -> tuple[float, Floats]:
        total, gradient = 0.0, np.zeros(len(PARTS))
        for parts, shares in cases:
            log_p = log_probabilities(parts, weights * kept)
            total -= float((shares * log_p).sum())
            gradient += np.tensordot(np.exp(log_p) - shares, parts, axes=2) * kept
        questions = sum(len(shares) for _, shares in cases)
        return total / questions + _RIDGE * float(weights @ weights), gradient / questions + 2 * _RIDGE * weights

    best: Floats = minimize(loss, np.zeros(len(PARTS)), jac=True, method="L-BFGS-B").x
    return best


def log_likelihoods(cases: Cases, weights: Floats) -> Floats:
    """The log likelihood of the evidence of each question."""
    parts, shares = cases
    likelihoods: Floats = (shares * log_probabilities(parts, weights)).sum(axis=1)
    return likelihoods


def held_out_likelihoods(cases: Sequence[Sequence[Cases]], weights: Sequence[Floats]) -> Floats:
    """Mean over embedders of each question's log likelihood, by the weights that were fitted without its conversation."""
    return np.concatenate(
        [
            np.mean([log_likelihoods(each, fitted) for each in by_embedder], axis=0)
            for by_embedder, fitted in zip(cases, weights, strict=True)
        ]
    )


class Experiment:
    """All conversations, with one memory per embedder and conversation."""

    def __init__(self, samples: Sequence[Sample], embedders: Sequence[CachingEmbedder], folder: Path) -> None:
        self.samples, self.embedders = samples, embedders
        self.names = [sample.conversation.id for sample in samples]
        self._services = [[self._service(embedder, name, folder) for name in self.names] for embedder in embedders]
        self.cases: list[list[Cases]] = []
        """By conversation and embedder."""

    @staticmethod
    def _service(embedder: CachingEmbedder, name: str, folder: Path) -> Services:
        service = Services(embedder, token_counter(), folder / f"{embedder.name}-{name}")
        service.folder.mkdir()
        return service

    def collect_cases(self) -> None:
        """Compute the cases. `recall` must have run once, because it ingests the conversations."""
        self.cases = [
            [asyncio.run(training_cases(sample, services[i])) for services in self._services]
            for i, sample in enumerate(self.samples)
        ]

    def recall(self, embedder: int, weights: Sequence[Floats] | None = None) -> list[RecallPairs]:
        """Of each conversation with its own weights, or with the committed ones."""
        # The weights of a ranker are never negative, so fitted weights below 0 become 0.
        settings: list[dict[str, str]] = [
            {part: str(max(weight, 0.0)) for part, weight in zip(PARTS, each, strict=True)} for each in weights or ()
        ]
        triples = zip(self.samples, settings or [{} for _ in self.samples], self._services[embedder], strict=True)
        return [asyncio.run(evidence_recall("engram", *triple)) for triple in triples]

    def fit_all(self) -> Floats:
        return fit([cases for by_embedder in self.cases for cases in by_embedder])

    def fit_held_out(self, without: str | None = None) -> list[Floats]:
        """For each conversation, the weights fitted to all others."""
        return [
            fit([cases for j, by_embedder in enumerate(self.cases) if j != i for cases in by_embedder], without)
            for i in range(len(self.samples))
        ]


def print_weights(experiment: Experiment, held_out_weights: Sequence[Floats]) -> None:
    weights_of_all = experiment.fit_all()
    print(f"\n{'weights':16}{'committed':>10}{'all':>10}  without {' '.join(experiment.names)}")
    for n, part in enumerate(PARTS):
        each = " ".join(f"{weights[n]:7.3f}" for weights in held_out_weights)
        print(f"{part:16}{getattr(Weights(), part):>10.2f}{weights_of_all[n]:>10.3f}          {each}")


def print_contributions(experiment: Experiment, held_out_weights: Sequence[Floats]) -> None:
    """For each part, what is lost if the weights are fitted without it."""
    names = [embedder.name for embedder in experiment.embedders]
    with_all = held_out_likelihoods(experiment.cases, held_out_weights)
    print(f"\n{'without':16}{'nats':>10}   95 % interval  recall " + " ".join(names))
    for part in PARTS:
        weights = experiment.fit_held_out(without=part)
        lost = with_all - held_out_likelihoods(experiment.cases, weights)
        margin = 1.96 * lost.std(ddof=1) / np.sqrt(len(lost))
        recalls = [
            np.mean([recall for pairs in experiment.recall(number, weights) for recall, _ in pairs])
            for number in range(len(names))
        ]
        interval = f"{lost.mean() - margin:+.3f} to {lost.mean() + margin:+.3f}"
        columns = " ".join(f"{recall:.4f}" for recall in recalls)
        print(f"{part:16}{lost.mean():>10.3f}{interval:>18} {columns}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the weights of engram's hybrid ranker.")
    parser.add_argument("data", type=Path, help="a LoCoMo file")
    parser.add_argument("--embedder", action="append", help="may be repeated (default: static and minilm)")
    arguments = parser.parse_args()
    samples = list(LOCOMO.open(arguments.data, {}).samples())
    names = arguments.embedder or ("static", "minilm")
    embedders = [CachingEmbedder(registry.make("embedders", name)) for name in names]
    with TemporaryDirectory() as folder:
        experiment = Experiment(samples, embedders, Path(folder))
        print(f"{'':24} recall    all   {' '.join(experiment.names)}")
        for number, embedder in enumerate(embedders):
            print_row(f"{embedder.name}, as committed", experiment.recall(number))
        experiment.collect_cases()
        held_out_weights = experiment.fit_held_out()
        for number, embedder in enumerate(embedders):
            print_row(f"{embedder.name}, left one out", experiment.recall(number, held_out_weights))
        print_weights(experiment, held_out_weights)
        print_contributions(experiment, held_out_weights)


if __name__ == "__main__":
    main()
