"""95 % intervals of shares and means: how much a figure would vary with other questions or conversations.

Questions about one conversation are right or wrong together, so a bootstrap resamples whole clusters (conversations).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

_MAX_CELLS = 1_000_000  # the largest number drawn at a time, to limit memory use


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval for a share (Wilson 1927)."""
    share = successes / n
    centre = share + Z95**2 / (2 * n)
    half = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    scale = 1 + Z95**2 / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def bootstrap_proportion(
    shares: Sequence[float], clusters: Sequence[Hashable], *, seed: int, resamples: int = 2000
) -> tuple[float, float]:
    """A 95 % interval for the mean of `shares`, each from 0 to 1: percentiles of a bootstrap of whole clusters.

    Source: Davison & Hinkley 1997, section 3.8; Field & Welsh 2007. A bootstrap of few clusters, or of unanimous ones, is
    too narrow, so the interval is never narrower than Wilson's over the questions; with a single cluster, it is Wilson's.
    (Shares with a given mean vary most if each is 0 or 1, so Wilson's interval is too wide for others, never too narrow.)
    Raises ValueError if there are no shares.
    """
    if not shares:
        raise ValueError("a share needs at least one question")
    members, count = cluster_numbers(clusters)
    narrowest = wilson(sum(shares), len(shares))
    if count == 1:
        return narrowest
    sums = np.bincount(members, weights=np.asarray(shares, float), minlength=count)
    sizes = np.bincount(members, minlength=count)
    draws = np.random.default_rng(seed).integers(0, count, (resamples, count))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return min(float(low), narrowest[0]), max(float(high), narrowest[1])


def bootstrap_mean(
    values: Sequence[float], clusters: Sequence[Hashable], *, seed: int, resamples: int = 4000
) -> tuple[float, float] | None:
    """A 95 % interval for a mean of any values: expanded percentiles of a bootstrap of whole clusters.

    The percentiles are those of Student's t at clusters - 1 degrees of freedom, widened by √(k / (k - 1)) for k clusters:
    plain percentiles are too narrow for a handful of clusters (Hesterberg 2015, "What Teachers Should Know About the
    Bootstrap", expanded percentile interval). None for fewer than two clusters.
    """
    members, count = cluster_numbers(clusters)
    if count < 2:
        return None
    sums = np.bincount(members, weights=np.asarray(values, float), minlength=count)
    sizes = np.bincount(members, minlength=count)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, batch := max(1, _MAX_CELLS // count)):
        draws = rng.integers(0, count, (min(batch, resamples - start), count))
        means.append(sums[draws].sum(axis=1) / sizes[draws].sum(axis=1))
    tail = 100 * NormalDist().cdf(-student_t(count - 1) * math.sqrt(count / (count - 1)))
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    return float(low), float(high)


def cluster_numbers(clusters: Sequence[Hashable]) -> tuple[npt.NDArray[np.intp], int]:
    """The number of each value's cluster, from 0, and how many clusters there are."""
    _, members = np.unique([repr(cluster) for cluster in clusters], return_inverse=True)
    return members, int(members.max()) + 1 if len(members) else 0


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval for a mean of independent values; None for fewer than two."""
    if len(values) < 2:
        return None
    mean, half = float(np.mean(values)), student_t(len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean - half, mean + half


def student_t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t (Abramowitz & Stegun 1964, 26.7.5).

    Within 0.001 of the exact value from 4 degrees of freedom on.
    """
    z = Z95
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + float(sum(term / freedom**power for power, term in enumerate(terms, start=1)))
