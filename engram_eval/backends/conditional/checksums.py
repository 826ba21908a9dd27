"""Checksums of rows of 32-bit words: they reveal what a crash left half-written, or a disk or another program damaged."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]


class DamagedFileError(Exception):
    """A file is not what was last written: cut short, damaged, or not closed."""


def checksums(rows: Words) -> Words:
    """One per row, by multiply-shift hashing (Dietzfelbinger et al. 1997); not 0 for a row of zeros.

    Two different rows have the same checksum with a probability of about 2^-32.
    """
    odd = _multipliers(rows.shape[-1])
    sums: Words = (((rows * odd[1:]).sum(axis=-1) + odd[0]) >> np.uint64(32)).astype(np.uint32)
    return sums


@cache
def _multipliers(words: int) -> npt.NDArray[np.uint64]:
    drawn = np.random.default_rng(0).integers(0, 1 << 63, words + 1, np.uint64)
    return drawn * np.uint64(2) + np.uint64(1)
