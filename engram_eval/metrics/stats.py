"""Agreement, paired tests, and intervals: how far a figure would move if other questions or conversations had been drawn."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

_Z95 = 1.959963984540054
_Z80 = 0.8416212335729143  # of a power of 80 %
_CELLS = 1_000_000  # drawn at a time


def bootstrap_proportion(
    shares: Sequence[float], clusters: Sequence[Hashable], *, seed: int, resamples: int = 2000
) -> tuple[float, float]:
    """A 95 % interval for the mean of `shares`, each from 0 to 1, or true or false: percentiles of a bootstrap that
    resamples whole clusters (conversations).

    Questions about one conversation stand or fall together, so they are drawn together (Davison & Hinkley 1997, section
    3.8; Field & Welsh 2007). A bootstrap of few clusters, or of unanimous ones, is too narrow: the interval is never narrower
    than Wilson's over the questions, and is his alone where there is a single cluster. (Shares of one mean vary most if each is
    0 or 1, so that his interval is too wide for others and never too narrow.) Raises ValueError for no questions.
    """
    if not shares:
        raise ValueError("a share needs at least one question")
    _, members = np.unique([repr(cluster) for cluster in clusters], return_inverse=True)
    count = int(members.max()) + 1
    least = wilson(sum(shares), len(shares))
    if count == 1:
        return least
    sums = np.bincount(members, weights=np.asarray(shares, float), minlength=count)
    sizes = np.bincount(members, minlength=count)
    draws = np.random.default_rng(seed).integers(0, count, (resamples, count))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return min(float(low), least[0]), max(float(high), least[1])


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval for a share (Wilson 1927)."""
    share = successes / n
    centre = share + _Z95**2 / (2 * n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n))
    scale = 1 + _Z95**2 / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def mcnemar(only_one: int, only_other: int) -> float:
    """p of McNemar's test (1947), exact and two-sided: are questions that only one got right as often the one's as the other's?

    Twice the lower tail of a binomial with p = 1/2 over the discordant questions (Fagerland, Lydersen & Laake 2013, 2.3).
    """
    n, least = only_one + only_other, min(only_one, only_other)
    ways, tail = 1, 1
    for k in range(least):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given (Holm 1979, "A simple sequentially rejective multiple test procedure")."""
    out = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        out[i] = highest
    return out


def detectable_difference(n: int, discordant: float) -> float | None:
    """The smallest difference of two paired shares that McNemar's test at 5 % finds with a power of 80 %.

    `discordant` is the share of questions on which the two differ. Solves n d² = (z₀.₉₇₅ √ψ + z₀.₈ √(ψ − d²))² for d (Connor
    1987, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43), at the ψ that
    was observed, or at ψ = d where a difference needs more discordance than that. It takes questions for independent.
    None where no difference could be found.
    """
    if n <= _Z95**2:
        return None
    # With d = √ψ sin θ: √n sin θ = z₀.₉₇₅ + z₀.₈ cos θ.
    theta = math.atan(_Z80 / math.sqrt(n)) + math.asin(_Z95 / math.sqrt(n + _Z80**2))
    if theta <= math.pi / 2 and 0 < (found := math.sqrt(discordant) * math.sin(theta)) <= discordant:
        return found
    low, high = 0.0, 1.0  # all discordance one way: n d = (z₀.₉₇₅ + z₀.₈ √(1 − d))²
    for _ in range(60):
        middle = (low + high) / 2
        enough = n * middle >= (_Z95 + _Z80 * math.sqrt(1 - middle)) ** 2
        low, high = (low, middle) if enough else (middle, high)
    return high


def newcombe(both: int, only_one: int, only_other: int, neither: int) -> tuple[float, float]:
    """A 95 % score interval for the difference of two paired shares (Newcombe 1998, Stat. Med. 17:2635, method 10).

    It has a width where no question tells the two apart.
    """
    n = both + only_one + only_other + neither
    one, other = (both + only_one) / n, (both + only_other) / n
    (low_one, high_one), (low_other, high_other) = wilson(both + only_one, n), wilson(both + only_other, n)
    cross = both * neither - only_one * only_other
    cross_corrected = cross if cross < 0 else max(0.0, cross - n / 2)
    margins = (both + only_one) * (only_other + neither) * (both + only_other) * (only_one + neither)
    phi = cross_corrected / math.sqrt(margins) if margins else 0.0

    def reach(down: float, up: float) -> float:
        return math.sqrt(max(0.0, down**2 - 2 * phi * down * up + up**2))

    return (
        one - other - reach(one - low_one, high_other - other),
        one - other + reach(other - low_other, high_one - one),
    )


def bootstrap_mean(
    values: Sequence[float], clusters: Sequence[Hashable], *, seed: int, resamples: int = 4000
) -> tuple[float, float] | None:
    """A 95 % interval for the mean of paired differences: expanded percentiles of a bootstrap of whole clusters.

    The percentiles are those of Student's t at clusters - 1 degrees of freedom, set wider by √(k / (k - 1)): plain ones are
    too narrow of a handful of clusters (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", expanded
    percentile interval). None for fewer than two clusters.
    """
    _, members = np.unique([repr(cluster) for cluster in clusters], return_inverse=True)
    count = int(members.max()) + 1 if len(members) else 0
    if count < 2:
        return None
    sums = np.bincount(members, weights=np.asarray(values, float), minlength=count)
    sizes = np.bincount(members, minlength=count)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, batch := max(1, _CELLS // count)):
        draws = rng.integers(0, count, (min(batch, resamples - start), count))
        means.append(sums[draws].sum(axis=1) / sizes[draws].sum(axis=1))
    tail = 100 * NormalDist().cdf(-student_t(count - 1) * math.sqrt(count / (count - 1)))
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    return float(low), float(high)


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval for a mean of independent values; None for fewer than two."""
    if len(values) < 2:
        return None
    mean, half = float(np.mean(values)), student_t(len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean - half, mean + half


def student_t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t (Abramowitz & Stegun 1964, 26.7.5): within 0.001 from 4 degrees of freedom on."""
    z = _Z95
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + float(sum(term / freedom**power for power, term in enumerate(terms, start=1)))


def cohen_kappa(one: Sequence[bool], other: Sequence[bool]) -> float | None:
    """Agreement of two judges beyond chance, from -1 to 1 (Cohen, "A coefficient of agreement for nominal scales", 1960).

    None where chance alone makes them agree throughout: both give the same verdict on everything, or on nothing at all.
    """
    return _kappa(*_crossed(np.asarray(one, bool), np.asarray(other, bool)).tolist())


def bootstrap_kappa(
    one: Sequence[bool], other: Sequence[bool], clusters: Sequence[Hashable], *, seed: int, resamples: int = 2000
) -> tuple[float, float] | None:
    """A 95 % interval for `cohen_kappa`: percentiles of a bootstrap of whole clusters, as in `bootstrap_proportion`.

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
