"""Agreement beyond chance, and intervals: how far a figure would move if other questions or conversations had been drawn."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

_Z95 = 1.959963984540054


def bootstrap_share(
    correct: Sequence[bool], clusters: Sequence[Hashable], *, seed: int, resamples: int = 2000
) -> tuple[float, float]:
    """A 95 % interval for the share of `correct`: percentiles of a bootstrap that resamples whole clusters (conversations).

    Questions about one conversation stand or fall together, so they are drawn together (Davison & Hinkley 1997, section
    3.8; Field & Welsh 2007). A bootstrap of few clusters, or of unanimous ones, is too narrow: the interval is never narrower
    than Wilson's over the questions, and is his alone where there is a single cluster.
    Raises ValueError for no questions.
    """
    if not correct:
        raise ValueError("a share needs at least one question")
    _, members = np.unique([repr(cluster) for cluster in clusters], return_inverse=True)
    count = int(members.max()) + 1
    least = wilson(sum(correct), len(correct))
    if count == 1:
        return least
    right = np.bincount(members, weights=np.asarray(correct, float), minlength=count)
    sizes = np.bincount(members, minlength=count)
    draws = np.random.default_rng(seed).integers(0, count, (resamples, count))
    shares = right[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return min(float(low), least[0]), max(float(high), least[1])


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval for a share (Wilson 1927)."""
    share = successes / n
    centre = share + _Z95**2 / (2 * n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n))
    scale = 1 + _Z95**2 / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def cohen_kappa(one: Sequence[bool], other: Sequence[bool]) -> float | None:
    """Agreement of two judges beyond chance, from -1 to 1 (Cohen, "A coefficient of agreement for nominal scales", 1960).

    None where chance alone makes them agree throughout: both give the same verdict on everything, or on nothing at all.
    """
    return _kappa(*_crossed(np.asarray(one, bool), np.asarray(other, bool)).tolist())


def bootstrap_kappa(
    one: Sequence[bool], other: Sequence[bool], clusters: Sequence[Hashable], *, seed: int, resamples: int = 2000
) -> tuple[float, float] | None:
    """A 95 % interval for `cohen_kappa`: percentiles of a bootstrap of whole clusters, as in `bootstrap_share`.

    Never narrower than by Cohen's standard error, which takes the agreement by chance as given (1960, formula 6), in
    Wilson's form, so that it has a width where the judges agree throughout; and by that alone where there is a single
    cluster. Draws in which κ is undefined are left out. None where κ is.
    """
    first, second = np.asarray(one, bool), np.asarray(other, bool)
    table = _crossed(first, second)
    kappa = _kappa(*table.tolist())
    if kappa is None:
        return None
    n = int(table.sum())
    alike = int(table[0] + table[3])
    chance = _by_chance(*table.tolist()) / n**2
    low, high = (max(-1.0, min(1.0, (share - chance) / (1 - chance))) for share in wilson(alike, n))
    _, members = np.unique([repr(cluster) for cluster in clusters], return_inverse=True)
    count = int(members.max()) + 1
    if count == 1:
        return low, high
    cells = 2 * first + second
    tables = np.bincount(4 * members + cells, minlength=4 * count).reshape(count, 4)
    rng = np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(0, count, count), minlength=count) @ tables for _ in range(resamples))
    drawn = [value for draw in draws if (value := _kappa(*draw.tolist())) is not None]
    if not drawn:
        return low, high
    ends = np.percentile(drawn, [2.5, 97.5])
    return min(float(ends[0]), low), max(float(ends[1]), high)


def _crossed(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How often: neither accepts, only the other, only the one, both."""
    return np.bincount(2 * one + other, minlength=4).astype(np.int64)


def _by_chance(neither: int, other: int, one: int, both: int) -> int:
    """Agreement to be expected by chance, times n²."""
    return (neither + other) * (neither + one) + (one + both) * (other + both)


def _kappa(neither: int, other: int, one: int, both: int) -> float | None:
    n = neither + other + one + both
    chance = _by_chance(neither, other, one, both)
    return None if chance == n * n else (n * (neither + both) - chance) / (n * n - chance)
