"""Fits the weights of engram's hybrid ranker, and says how they do on conversations that they were not fitted on.

    python benchmarks/fit_ranker.py locomo10.json
    python benchmarks/fit_ranker.py locomo10.json --embedder static

A conditional logit (McFadden 1974): the chance of a turn being evidence for a question is proportional to exp(weights x
parts), the competitors being the turns that the committed weights rank first. One set of weights for all embedders, fitted
on questions of LoCoMo's categories 1-4 with a small ridge penalty. Prints

    evidence recall and all evidence at the published budget, as committed and leave-one-conversation-out;
    the weights, fitted on all conversations and without each;
    what each part is worth where it was not fitted: fitted again without it, leave-one-conversation-out, by how much the
    held-out evidence is less likely (nats a question, 95 % interval over questions) and how much of it is recalled.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from recalled import Shares, evidence_recall, print_row
from scipy.optimize import minimize

from engram_eval import registry
from engram_eval.backends.backend import Services
from engram_eval.backends.engram.ranking import PARTS, HybridRanker, Weights
from engram_eval.backends.engram.store import Store
from engram_eval.backends.engram.vector_search import VectorSearches
from engram_eval.datasets.locomo.loader import open_locomo
from engram_eval.embedders.embedder import Embedder, Vectors
from engram_eval.language.tokens import token_counter
from engram_eval.types import Sample

Floats = npt.NDArray[np.float64]
Cases = tuple[Floats, Floats]

_COMPETITORS = 160
_RIDGE = 1e-3


class Remembering:
    """An embedder that embeds each text once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self._known: dict[str, Vectors] = {}

    async def embed(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= dict(zip(new, await self._embedder.embed(new), strict=True))
        return np.array([self._known[text] for text in texts], np.float32).reshape(len(texts), self.dimensions)


async def cases_of(sample: Sample, services: Services) -> Cases:
    """Of each question of a conversation that engram has ingested into the services' folder: the parts of its evidence and
    its competitors, shape (questions, turns, parts), and the share of the evidence that each turn is (questions, turns)."""
    embedder = services.embedder
    store = Store(services.folder / "engram.sqlite", embedder=embedder.name, dimensions=embedder.dimensions)
    stored = store.load()
    store.close()
    ranker = HybridRanker(stored, embedder, Weights(), VectorSearches("exact", services.folder, 0))
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


def log_chances(parts: Floats, weights: Floats) -> Floats:
    """Of each turn to be the evidence, shape (questions, turns)."""
    scores: Floats = parts @ weights
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return scores


def fit(chosen: Sequence[Cases], without: str | None = None) -> Floats:
    """The weights of the largest penalised likelihood; a question with several evidence turns shares its vote among them."""
    kept = np.array([part != without for part in PARTS], float)

    def loss(weights: Floats) -> tuple[float, Floats]:
        total, slope = 0.0, np.zeros(len(PARTS))
        for parts, shares in chosen:
            logs = log_chances(parts, weights * kept)
            total -= float((shares * logs).sum())
            slope += np.tensordot(np.exp(logs) - shares, parts, axes=2) * kept
        questions = sum(len(shares) for _, shares in chosen)
        return total / questions + _RIDGE * float(weights @ weights), slope / questions + 2 * _RIDGE * weights

    best: Floats = minimize(loss, np.zeros(len(PARTS)), jac=True, method="L-BFGS-B").x
    return best


def likelihoods(cases: Cases, weights: Floats) -> Floats:
    """The log likelihood of each question's evidence."""
    parts, shares = cases
    logs: Floats = (shares * log_chances(parts, weights)).sum(axis=1)
    return logs


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits the weights of engram's hybrid ranker.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--embedder", action="append", help="may be repeated (default: static and minilm)")
    arguments = parser.parse_args()
    samples = list(open_locomo(arguments.data, {}).samples())
    names = [sample.conversation.id for sample in samples]
    embedders = [Remembering(registry.make("embedders", name)) for name in arguments.embedder or ("static", "minilm")]
    with TemporaryDirectory() as folder:
        services = [
            [Services(embedder, token_counter(), Path(folder) / f"{embedder.name}-{name}") for name in names]
            for embedder in embedders
        ]
        for service in (one for of in services for one in of):
            service.folder.mkdir()

        def measure(of: Sequence[Services], settings: Sequence[Mapping[str, str]]) -> list[Shares]:
            triples = zip(samples, settings, of, strict=True)
            return [asyncio.run(evidence_recall("engram", *triple)) for triple in triples]

        print(f"{'':24} recall    all   {' '.join(names)}")
        for of, embedder in zip(services, embedders, strict=True):
            print_row(f"{embedder.name}, as committed", measure(of, [{}] * len(names)))  # and ingests them all
        known = [[asyncio.run(cases_of(sample, of[i])) for of in services] for i, sample in enumerate(samples)]

        def left_out(part: str | None = None) -> list[Floats]:
            return [fit([c for j, of in enumerate(known) if j != i for c in of], part) for i in range(len(names))]

        def recalled(of: Sequence[Services], fitted: Sequence[Floats]) -> list[Shares]:
            # A ranker's weights are not negative; what is fitted below 0 counts as nothing.
            return measure(
                of, [{part: str(max(w, 0.0)) for part, w in zip(PARTS, each, strict=True)} for each in fitted]
            )

        fitted = left_out()
        for of, embedder in zip(services, embedders, strict=True):
            print_row(f"{embedder.name}, left one out", recalled(of, fitted))
        on_all = fit([cases for of in known for cases in of])
        print(f"\n{'weights':16}{'committed':>10}{'all':>10}  without {' '.join(names)}")
        for n, part in enumerate(PARTS):
            each = " ".join(f"{weights[n]:7.3f}" for weights in fitted)
            print(f"{part:16}{getattr(Weights(), part):>10.2f}{on_all[n]:>10.3f}          {each}")
        whole = held_out(known, fitted)
        print(
            f"\n{'without':16}{'nats':>10}   95 % interval  recall " + " ".join(embedder.name for embedder in embedders)
        )
        for part in PARTS:
            others = left_out(part)
            lost = whole - held_out(known, others)
            margin = 1.96 * lost.std(ddof=1) / np.sqrt(len(lost))
            shares = [np.mean([share for rows in recalled(of, others) for share, _ in rows]) for of in services]
            recall = " ".join(f"{share:.4f}" for share in shares)
            interval = f"{lost.mean() - margin:+.3f} to {lost.mean() + margin:+.3f}"
            print(f"{part:16}{lost.mean():>10.3f}{interval:>18} {recall}", flush=True)


def held_out(known: Sequence[Sequence[Cases]], fitted: Sequence[Floats]) -> Floats:
    """The mean over embedders of each question's log likelihood, by the weights that were fitted without it."""
    return np.concatenate(
        [np.mean([likelihoods(cases, w) for cases in of], axis=0) for of, w in zip(known, fitted, strict=True)]
    )


if __name__ == "__main__":
    main()
