"""Measure how far the offline reader's accuracy follows what a memory retrieved.

    python benchmarks/draw_results.py measure locomo10.json --runs results/sweep
    python benchmarks/measure_reader.py results/sweep/*

Each run has several memories at one token budget. The present reader reads the contexts that the runs recorded, and the
present judge grades its answers, so a change of the reader is measured without running a memory again. For each memory and
budget the script prints, over the headline questions: evidence recall; accuracy; token F1, which no judge decides; and
accuracy where all of the evidence is in the context and where some is missing. A reader that uses its context has a higher
accuracy the higher the recall: the last line has Spearman's rank correlation of the two over all rows without controls.

For runs of `engram` and `bm25`, the script also prints the difference in accuracy with its 95 % interval over conversations.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from engram_eval.judges.offline.judge import OfflineJudge
from engram_eval.metrics.f1 import token_f1
from engram_eval.metrics.intervals import bootstrap_mean
from engram_eval.readers.offline.matching import Weights
from engram_eval.readers.offline.reader import WEIGHTS, read
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from engram_eval.types import Question

CONTROLS = ("oracle", "none", "full-history")
PAIR = ("engram", "bm25")


@dataclass(frozen=True, slots=True)
class Reading:
    """The present reader's answer to one question, graded."""

    conversation_id: str
    question_id: str
    correct: bool
    f1: float
    evidence_recall: float | None


def read_run(
    path: Path, backends: Collection[str] = (), weights: Mapping[str, Weights] | None = None
) -> tuple[int | None, dict[str, list[Reading]]]:
    """The token budget of a run, and the readings of each backend, or of `backends`, over the headline questions.

    `weights` are the reader's, by conversation; the committed ones for the conversations that are not in it.
    """
    folder = RunFolder(path)
    manifest = folder.manifest()
    judge = OfflineJudge()
    readings: defaultdict[str, list[Reading]] = defaultdict(list)
    with folder.contexts() as contexts:
        for record in folder.records():
            if record.answerable and record.status == "ok" and (not backends or record.backend in backends):
                answer = read(
                    record.question,
                    contexts.get(record.context) or "",
                    weights=(weights or {}).get(record.conversation_id, WEIGHTS),
                )
                readings[record.backend].append(_graded(record, answer, judge))
    return manifest.budget, dict(readings)


def _graded(record: Record, answer: str, judge: OfflineJudge) -> Reading:
    question = Question(
        id=record.question_id,
        conversation_id=record.conversation_id,
        text=record.question,
        gold=record.gold,
        category=record.category,
        asked_at=None,
        evidence=(),
        evidence_sessions=(),
        unanswerable=False,
    )
    correct = asyncio.run(judge.judge(question, answer)).correct
    f1 = token_f1(answer, record.gold)
    return Reading(record.conversation_id, record.question_id, correct, f1, record.evidence_recall)


def difference(first: Sequence[Reading], second: Sequence[Reading]) -> str:
    """The mean difference in accuracy in points, with its interval over conversations."""
    right = {reading.question_id: reading.correct for reading in second}
    pairs = [(100.0 * (r.correct - right[r.question_id]), r.conversation_id) for r in first if r.question_id in right]
    values, conversations = zip(*pairs, strict=True)
    interval = bootstrap_mean(values, conversations, seed=0)
    ends = f"{interval[0]:+.1f} to {interval[1]:+.1f}" if interval else "one conversation"
    return f"{np.mean(values):+.1f} points ({ends})"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders, one per token budget")
    rows: list[tuple[float, float]] = []
    pairs: list[str] = []
    print(f"{'backend':14} {'budget':>6} {'recall':>7} {'accuracy':>9} {'F1':>6} {'all there':>10} {'missing':>8}")
    for path in parser.parse_args(arguments).runs:
        budget, by_backend = read_run(path)
        for backend, readings in by_backend.items():
            recall = [r.evidence_recall for r in readings if r.evidence_recall is not None]
            accuracy = np.mean([r.correct for r in readings])
            there = [r.correct for r in readings if r.evidence_recall == 1]
            missing = [r.correct for r in readings if r.evidence_recall is not None and r.evidence_recall < 1]
            shares = [f"{100 * np.mean(part):.1f}" if part else "–" for part in (there, missing)]
            print(
                f"{backend:14} {budget or '–':>6} {np.mean(recall):7.3f} {100 * accuracy:9.1f} "
                f"{100 * np.mean([r.f1 for r in readings]):6.1f} {shares[0]:>10} {shares[1]:>8}",
                flush=True,
            )
            if backend not in CONTROLS:
                rows.append((float(np.mean(recall)), float(accuracy)))
        if set(PAIR) <= by_backend.keys():
            pairs.append(f"{' : '.join(PAIR)} at {budget}: {difference(*(by_backend[name] for name in PAIR))}")
    print(*pairs, sep="\n")
    if len(rows) > 2:
        print(
            f"Spearman's rank correlation of recall and accuracy over {len(rows)} rows: {spearmanr(rows).statistic:.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
