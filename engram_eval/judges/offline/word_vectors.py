"""How similar two words are in meaning, by a packaged table of word vectors.

benchmarks/distil_word_vectors.py distils the table from all-MiniLM-L6-v2 (Apache-2.0): 64 dimensions, one vector per stem.
Synonyms have a cosine of about 0.8 ("scared", "afraid"), words of one kind about 0.5 ("hiking", "camping").
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

TABLE = Path(__file__).with_name("word_vectors.npz")
Vectors = npt.NDArray[np.float32]

# Words of a closed set exclude one another, however near their vectors are: Monday is not Tuesday, red is not blue.
EXCLUSIVE = frozenset(
    """monday tuesday wednesday thursday friday saturday sunday januari februari march april may june juli august septemb
    octob novemb decemb spring summer autumn fall winter north south east west red blue green yellow orang purpl pink black
    white brown grey gray gold silver mother father brother sister son daughter husband wife uncl aunt left right first
    second third last morn afternoon even night yesterday today tomorrow daili week weekli month monthli year""".split()
)  # stems


@cache
def _table() -> tuple[dict[str, int], Vectors]:
    """The row of each stem, and the vectors with unit length, shape (stems, 64)."""
    with np.load(TABLE) as table:
        stems = bytes(table["stems"]).decode().split("\n")
        vectors = table["vectors"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {stem: row for row, stem in enumerate(stems)}, vectors


def vectors_of(stems: Collection[str]) -> Vectors:
    """The vectors of those stems that have one, shape (n, 64)."""
    rows, vectors = _table()
    return vectors[[rows[stem] for stem in stems if stem in rows]]


def similarity(first: str, second: str) -> float:
    """Cosine of two stems' vectors, from -1 to 1; 0 if one has no vector."""
    rows, vectors = _table()
    if first not in rows or second not in rows:
        return 0.0
    return float(vectors[rows[first]] @ vectors[rows[second]])


def nearest(stem: str, others: Vectors) -> float:
    """The highest cosine of a stem with the others, shape (n, 64), at least 0; 0 if it has no vector or excludes others."""
    rows, vectors = _table()
    if stem in EXCLUSIVE or stem not in rows or not len(others):
        return 0.0
    return max(0.0, float((others @ vectors[rows[stem]]).max()))


def rarity(stem: str) -> float:
    """How rare a word is, from 0 to 1: the logarithm of its rank in the table; 1 if it is not in it."""
    rows, _ = _table()
    return float(np.log1p(rows.get(stem, len(rows))) / np.log1p(len(rows)))
