"""Statistics of two backends on the same questions: McNemar's test, Holm's correction, and the difference of two shares.

`only_first` counts the questions that only the first backend got right, `only_second` those that only the second did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engram_eval.metrics.intervals import Z95, wilson

_Z80 = 0.8416212335729143  # the 80 % quantile of the normal distribution, for a power of 80 %


def mcnemar(only_first: int, only_second: int) -> float:
    """The p value of McNemar's test (1947), exact and two-sided. Its null hypothesis: both counts are equally likely.

    Twice the lower tail of a binomial with p = 1/2 over the discordant questions (Fagerland, Lydersen & Laake 2013, 2.3).
    """
    n, smaller = only_first + only_second, min(only_first, only_second)
    ways, tail = 1, 1
    for k in range(smaller):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the given order (Holm 1979, "A simple sequentially rejective multiple test procedure")."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def detectable_difference(n: int, discordant: float) -> float | None:
    """The smallest difference of two paired shares that McNemar's test at 5 % detects with a power of 80 %.

    `discordant` is the share ψ of questions on which the two differ. Solves n d² = (z₀.₉₇₅ √ψ + z₀.₈ √(ψ − d²))² for d
    (Connor 1987, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43), at the
    observed ψ, or at ψ = d if a difference needs more discordance than that. It assumes independent questions. None if
    no difference could be detected.
    """
    if n <= Z95**2:
        return None
    # With d = √ψ sin θ: √n sin θ = z₀.₉₇₅ + z₀.₈ cos θ.
    theta = math.atan(_Z80 / math.sqrt(n)) + math.asin(Z95 / math.sqrt(n + _Z80**2))
    if theta <= math.pi / 2 and 0 < (smallest := math.sqrt(discordant) * math.sin(theta)) <= discordant:
        return smallest
    low, high = 0.0, 1.0  # all discordance in one direction: n d = (z₀.₉₇₅ + z₀.₈ √(1 − d))²
    for _ in range(60):
        middle = (low + high) / 2
        enough = n * middle >= (Z95 + _Z80 * math.sqrt(1 - middle)) ** 2
        low, high = (low, middle) if enough else (middle, high)
    return high


def newcombe(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float]:
    """A 95 % score interval for the difference of two paired shares (Newcombe 1998, Stat. Med. 17:2635, method 10).

    Its width is above 0 even if the two agree on every question.
    """
    n = both + only_first + only_second + neither
    first, second = (both + only_first) / n, (both + only_second) / n
    (low_first, high_first), (low_second, high_second) = wilson(both + only_first, n), wilson(both + only_second, n)
    cross = both * neither - only_first * only_second
    cross_corrected = cross if cross < 0 else max(0.0, cross - n / 2)
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    phi = cross_corrected / math.sqrt(margins) if margins else 0.0

    def distance(down: float, up: float) -> float:
        return math.sqrt(max(0.0, down**2 - 2 * phi * down * up + up**2))

    return (
        first - second - distance(first - low_first, high_second - second),
        first - second + distance(second - low_second, high_first - first),
    )
