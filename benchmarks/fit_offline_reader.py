"""Fit the weights of the offline reader's score, and measure it with weights fitted without the measured conversation.

    python benchmarks/draw_results.py measure locomo10.json --runs results/sweep
    python benchmarks/fit_offline_reader.py results/sweep/*

The model is a conditional logit (McFadden 1974) over the passages of a recorded context: the probability that a passage is
evidence is proportional to exp(weights x parts). A part is what its weight, set to 1, adds to the passage's score. Only the
ratios of the weights matter for the reader, so they are divided by the weight of a stem in the passage itself. The contexts
are those of `engram` and `bm25` in the runs with the published budget, for the headline questions.

The script prints the weights, committed and fitted, to all conversations and without each one; and, at the budget of each
run, the accuracy of `engram` and `bm25` and its difference with its 95 % interval over conversations, with the committed
weights and with the weights fitted without the measured conversation. All other constants of the reader are the committed
ones in both rows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from draw_results import PUBLISHED_BUDGET
from measure_reader import PAIR, difference, read_run
from scipy.optimize import minimize

from engram_eval.metrics.evidence import contains_turn
from engram_eval.readers.offline.matching import Weights, match_sentences
from engram_eval.readers.offline.passages import Passages, read_passages
from engram_eval.readers.offline.question_analysis import QuestionAnalysis, analyse_question
from engram_eval.results.contexts import TURN_MARK
from engram_eval.results.folder import RunFolder
from engram_eval.types import Turn

Floats = npt.NDArray[np.float64]

FITTED = ("turn_before", "nearby", "subject", "reply")
_NONE = Weights(**dict.fromkeys(FITTED, 0.0), same_turn=1.0, asks=1.0, caption=1.0)
"""All sentences of a passage have the same score: the share of the question's stems that are in the passage."""
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Case:
    """The passages of one context: `parts` of shape (passages, 1 + fitted weights), and each one's share of the evidence."""

    conversation_id: str
    parts: Floats
    shares: Floats


def passage_parts(question: QuestionAnalysis, context: Passages) -> Floats:
    """What each weight adds to the score of each passage, shape (passages, 1 + fitted weights).

    The first column is the score without the fitted weights. A stem counts once, for the nearest place that has it.
    """
    first_sentences = np.unique(context.passage_of, return_index=True)[1]
    weights = [_NONE]
    for name in FITTED:
        weights.append(replace(weights[-1], **{name: 1.0}))
    scores = [match_sentences(question, context, each).score[first_sentences] for each in weights]
    return np.diff(np.column_stack([np.zeros(len(first_sentences)), *scores]), axis=1)


def read_cases(run: Path) -> Iterator[Case]:
    """A case for each headline question and memory whose context has evidence."""
    folder = RunFolder(run)
    with folder.contexts() as contexts:
        for record in folder.records():
            if record.backend not in PAIR or not record.answerable or not record.evidence_found:
                continue
            context = read_passages(contexts.get(record.context) or "")
            evidence = [Turn("", "", text) for text in (contexts.get(record.evidence_text) or "").split(TURN_MARK)]
            is_evidence = np.array(
                [any(contains_turn(turn, passage.text) for turn in evidence) for passage in context.passages], float
            )
            if is_evidence.any():
                parts = passage_parts(analyse_question(record.question, context.speakers), context)
                yield Case(record.conversation_id, parts, is_evidence / is_evidence.sum())


def fit(cases: Sequence[Case]) -> Weights:
    """The committed weights, with the fitted ones replaced by those of the largest penalised likelihood.

    Several evidence passages of a context share its weight equally.
    """
    parts, shares = np.concatenate([case.parts for case in cases]), np.concatenate([case.shares for case in cases])
    lengths = [len(case.shares) for case in cases]
    starts = np.cumsum([0, *lengths[:-1]])

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = parts @ weights
        log_p = scores - np.repeat(np.logaddexp.reduceat(scores, starts), lengths)
        gradient = (np.exp(log_p) - shares) @ parts / len(cases) + 2 * _RIDGE * weights
        return float(-(shares @ log_p) / len(cases) + _RIDGE * (weights @ weights)), gradient

    best: Floats = minimize(loss, np.zeros(parts.shape[1]), jac=True, method="L-BFGS-B").x
    return replace(Weights(), **dict(zip(FITTED, (best[1:] / best[0]).tolist(), strict=True)))


def print_weights(name: str, weights: Weights) -> None:
    print(f"{name:24}" + "".join(f"{getattr(weights, part):>12.2f}" for part in FITTED), flush=True)


def print_accuracies(run: Path, name: str, weights: Mapping[str, Weights]) -> None:
    """One line for the run, read with the weights of each conversation, or the committed ones for those without."""
    budget, readings = read_run(run, PAIR, weights)
    accuracies = [100 * np.mean([reading.correct for reading in readings[backend]]) for backend in PAIR]
    print(f"{name:24} {budget:>6} {accuracies[0]:>8.1f} {accuracies[1]:>8.1f}  ", end="")
    print(difference(*(readings[backend] for backend in PAIR)), flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders, one per token budget")
    runs = sorted(parser.parse_args(arguments).runs, key=lambda run: RunFolder(run).manifest().budget or 0)
    published = [run for run in runs if RunFolder(run).manifest().budget == PUBLISHED_BUDGET]
    cases = [case for run in published for case in read_cases(run)]
    conversations = sorted({case.conversation_id for case in cases})
    if len(conversations) < 2:
        parser.error(f"name a run of two or more conversations with a budget of {PUBLISHED_BUDGET}; the fit needs it")
    without = {name: fit([case for case in cases if case.conversation_id != name]) for name in conversations}
    print(f"{len(cases):,} contexts of {len(conversations)} conversations\n")
    print(f"{'weights':24}" + "".join(f"{part:>12}" for part in FITTED))
    print_weights("committed", Weights())
    print_weights("fitted", fit(cases))
    for name, weights in without.items():
        print_weights(f"fitted without {name}", weights)
    print(f"\n{'accuracy, %':24} budget {PAIR[0]:>8} {PAIR[1]:>8}  difference")
    for run in runs:
        print_accuracies(run, "committed", {})
        print_accuracies(run, "conversation left out", without)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
