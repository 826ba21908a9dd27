"""What rankers do with scores: standardize them, and put documents in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


def standardized(scores: npt.NDArray[np.floating[Any]], deviation: float | None = None) -> Scores:
    """Differences from the mean, divided by `deviation` (default: the scores' standard deviation); zeros if that is 0."""
    wide = scores.astype(np.float64)
    if not len(scores):
        return wide
    spread = float(scores.std()) if deviation is None else deviation
    return (wide - wide.mean()) / spread if spread > 0 else np.zeros_like(wide)


def ranking(scores: npt.NDArray[np.floating[Any]]) -> list[int]:
    """Indices by falling score; equal scores keep the order of the documents, so that a ranking is reproducible."""
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order


def best_first(scores: npt.NDArray[np.floating[Any]], *, first: int = 4096) -> Iterator[int]:
    """The indices of `ranking` one by one. The `first` ones are found without sorting the rest, for callers that stop early."""
    if len(scores) <= first:
        yield from ranking(scores)
        return
    least = np.partition(scores, -first)[-first]
    above = np.flatnonzero(scores > least)
    yield from above[ranking(scores[above])].tolist()
    yield from np.flatnonzero(scores == least)[: first - len(above)].tolist()
    yield from ranking(scores)[first:]
