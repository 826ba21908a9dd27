"""Cohen's κ: how much two judges agree beyond chance, and its 95 % interval."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from engram_eval.metrics.intervals import cluster_numbers, wilson


def cohen_kappa(first: Sequence[bool], second: Sequence[bool]) -> float | None:
    """Agreement of two judges beyond chance, from -1 to 1 (Cohen, "A coefficient of agreement for nominal scales", 1960).

    None if chance alone makes them agree on everything: both give the same verdict throughout, or there are no verdicts.
    """
    return _kappa(*_cross_table(np.asarray(first, bool), np.asarray(second, bool)).tolist())


def bootstrap_kappa(
    first: Sequence[bool], second: Sequence[bool], clusters: Sequence[Hashable], *, seed: int, resamples: int = 2000
) -> tuple[float, float] | None:
    """A 95 % interval for `cohen_kappa`: percentiles of a bootstrap of whole clusters, as in `bootstrap_proportion`.

    It is never narrower than the interval by Cohen's standard error, which treats the chance agreement as fixed (1960,
    formula 6), in Wilson's form, so that it has a width even if the judges always agree; with a single cluster, it is
    that interval. Draws with an undefined κ are skipped. None if κ is undefined.
    """
    verdicts, other_verdicts = np.asarray(first, bool), np.asarray(second, bool)
    table = _cross_table(verdicts, other_verdicts)
    kappa = _kappa(*table.tolist())
    if kappa is None:
        return None
    n = int(table.sum())
    agreements = int(table[0] + table[3])
    chance = _chance_agreement(*table.tolist()) / n**2
    low, high = (max(-1.0, min(1.0, (share - chance) / (1 - chance))) for share in wilson(agreements, n))
    members, count = cluster_numbers(clusters)
    if count == 1:
        return low, high
    cells = 2 * verdicts + other_verdicts
    tables = np.bincount(4 * members + cells, minlength=4 * count).reshape(count, 4)
    rng = np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(0, count, count), minlength=count) @ tables for _ in range(resamples))
    kappas = [value for draw in draws if (value := _kappa(*draw.tolist())) is not None]
    if not kappas:
        return low, high
    ends = np.percentile(kappas, [2.5, 97.5])
    return min(float(ends[0]), low), max(float(ends[1]), high)


def _cross_table(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The numbers of answers that neither judge accepts, only the second, only the first, and both."""
    return np.bincount(2 * first + second, minlength=4).astype(np.int64)


def _chance_agreement(neither: int, only_second: int, only_first: int, both: int) -> int:
    """The agreement expected by chance, times n²."""
    return (neither + only_second) * (neither + only_first) + (only_first + both) * (only_second + both)


def _kappa(neither: int, only_second: int, only_first: int, both: int) -> float | None:
    n = neither + only_second + only_first + both
    chance = _chance_agreement(neither, only_second, only_first, both)
    return None if chance == n * n else (n * (neither + both) - chance) / (n * n - chance)
