"""Fusion: what the heads found, gated by its nearness to the question and spread over neighbouring turns (arXiv 2601.07372).

The published layer multiplies what it looked up by a gate, sigma of the normalised product of key and query, and adds a
short causal depthwise convolution of the result. Here the values are turns' scores, and the positions are turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram_eval.backends.conditional.addressing import Ids
from engram_eval.backends.conditional.tables import Found
from engram_eval.backends.lexical import rarity

Scores = npt.NDArray[np.float64]

KERNEL, DILATION = 4, 3  # as published: taps 0, 3, 6 and 9 turns back; the dilation is the longest N-gram


@dataclass(frozen=True, slots=True)
class Spread:
    """Shares of a turn's value that turns near it in its session receive."""

    kernel: float
    """To the turns 3, 6 and 9 later, each divided by 1 + its distance in taps."""
    after: float
    """To the turn that follows."""
    before: float
    """To the turn that precedes."""

    def taps(self) -> dict[int, float]:
        """Weights by distance in turns, the turn itself not among them."""
        causal = {DILATION * tap: self.kernel / (1 + tap) for tap in range(1, KERNEL)}
        near = {1: self.after, -1: self.before}
        return {distance: weight for distance, weight in (near | causal).items() if weight}


def values(found: list[Found], weights: tuple[float, ...], turns: int) -> tuple[Ids, Scores]:
    """Turn numbers, ascending, and the sums of the rarity of the N-grams that found them, times their order's weight."""
    numbers = np.concatenate([order.turns for order in found])
    parts = [w * rarity(order.said, turns)[order.grams] for w, order in zip(weights, found, strict=True)]
    distinct, places = np.unique(numbers, return_inverse=True)
    sums: Scores = np.bincount(places, np.concatenate(parts), len(distinct)).astype(np.float64)
    return distinct.astype(np.int64), sums


def length_penalty(lengths: npt.NDArray[np.uint32], share: float) -> Scores:
    """What scores of turns of so many content words are divided by: BM25's, with the mean of these turns."""
    penalty: Scores = 1 - share + share * lengths.astype(np.float64) / max(float(lengths.mean()), 1.0)
    return penalty


def gate(similarities: Scores) -> Scores:
    """sigma(sign(x) sqrt(max(|x|, 1e-6))), the shaping of the published demo."""
    shaped = np.sign(similarities) * np.sqrt(np.maximum(np.abs(similarities), 1e-6))
    opened: Scores = 1 / (1 + np.exp(-shaped))
    return opened


def around(numbers: Ids, spread: Spread, turns: int) -> Ids:
    """The turns themselves and all that `spread` reaches from them, ascending."""
    reached = np.unique(np.concatenate([numbers + distance for distance in (0, *spread.taps())]))
    return reached[(reached >= 0) & (reached < turns)]


def smooth(numbers: Ids, sessions: Ids, scores: Scores, spread: Spread) -> Scores:
    """Scores of turns with what their neighbours pass on; `numbers` ascend, and nothing passes between sessions."""
    out = scores.copy()
    for distance, weight in spread.taps().items():
        source = np.minimum(np.searchsorted(numbers, numbers - distance), len(numbers) - 1)
        there = (numbers[source] == numbers - distance) & (sessions[source] == sessions)
        out += weight * scores[source] * there
    return out
