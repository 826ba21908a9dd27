"""Scoring: turns that share N-grams with a question, gated by similarity and spread over neighbours (arXiv 2601.07372).

The published layer multiplies the embedding that it looked up by a gate, sigma of the normalised product of key and query,
and adds a short causal depthwise convolution of the result. Here the values are turns' scores, and the positions are turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram_eval.backends.conditional.addressing import Ids
from engram_eval.backends.conditional.tables import Matches
from engram_eval.backends.lexical import idf
from engram_eval.backends.scores import Scores

KERNEL, DILATION = 4, 3  # as published: taps 0, 3, 6 and 9 turns back; the dilation is the longest N-gram


@dataclass(frozen=True, slots=True)
class Spread:
    """Shares of a turn's score that are added to its neighbours in the session."""

    kernel: float
    """For the turns 3, 6 and 9 later: divided by 2, 3 and 4."""
    after: float
    """For the next turn."""
    before: float
    """For the previous turn."""

    def shares(self) -> dict[int, float]:
        """Share by distance in turns (negative: earlier), without the turn itself."""
        causal = {DILATION * tap: self.kernel / (1 + tap) for tap in range(1, KERNEL)}
        adjacent = {1: self.after, -1: self.before}
        return {distance: share for distance, share in (adjacent | causal).items() if share}


def ngram_scores(matches: list[Matches], weights: tuple[float, ...], turns: int) -> tuple[Ids, Scores]:
    """Turn numbers, ascending, and their scores: for each matching N-gram its idf times the weight of its order.

    `matches` and `weights` have one entry per order; `turns` is the number of turns stored.
    """
    numbers = np.concatenate([order.turns for order in matches])
    parts = [weight * idf(order.counts, turns)[order.ngrams] for weight, order in zip(weights, matches, strict=True)]
    distinct, places = np.unique(numbers, return_inverse=True)
    sums: Scores = np.bincount(places, np.concatenate(parts), len(distinct)).astype(np.float64)
    return distinct.astype(np.int64), sums


def length_penalty(lengths: npt.NDArray[np.uint32], share: float) -> Scores:
    """BM25's divisor for turns with `lengths` content words: `share` is its b, and the mean is that of these turns."""
    penalty: Scores = 1 - share + share * lengths.astype(np.float64) / max(float(lengths.mean()), 1.0)
    return penalty


def gate(similarities: Scores) -> Scores:
    """sigma(sign(x) sqrt(max(|x|, 1e-6))), as in the published demo."""
    shaped = np.sign(similarities) * np.sqrt(np.maximum(np.abs(similarities), 1e-6))
    gates: Scores = 1 / (1 + np.exp(-shaped))
    return gates


def with_neighbours(numbers: Ids, spread: Spread, turns: int) -> Ids:
    """The turns and all turns that `spread` reaches from them, ascending. `turns` is the number of turns stored."""
    reached = np.unique(np.concatenate([numbers + distance for distance in (0, *spread.shares())]))
    return reached[(reached >= 0) & (reached < turns)]


def spread_scores(numbers: Ids, sessions: Ids, scores: Scores, spread: Spread) -> Scores:
    """The scores of turns plus the shares of their neighbours' scores, within a session. `numbers` ascend."""
    total = scores.copy()
    for distance, share in spread.shares().items():
        source = np.minimum(np.searchsorted(numbers, numbers - distance), len(numbers) - 1)
        is_neighbour = (numbers[source] == numbers - distance) & (sessions[source] == sessions)
        total += share * scores[source] * is_neighbour
    return total
