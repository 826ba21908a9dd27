"""Addressing: which buckets of the tables belong to the words of a text (arXiv 2601.07372, section 2.2).

Words are canonicalised, stemmed and numbered. Each N-gram is mixed into one number, and each head takes that number modulo
a prime of its own. Nothing is learned, and nothing depends on what is stored.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engram_eval.language.words import STOPWORDS, stem, words

Ids = npt.NDArray[np.int64]

ORDERS = (1, 2, 3)  # lengths of N-grams, from 1 without a gap: `contained` relates each order to the one below
HEADS = 8  # n_head_per_ngram of the published demo
_ID_BITS = 32  # a token's number is a hash because the vocabulary is open; the published one is a tokenizer's id


def canonical(text: str) -> str:
    """NFKC, NFD, accents removed, lower case, runs of white space replaced by one space: the published order."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text))
        text = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return " ".join(text.lower().split())


def tokens(text: str) -> list[str]:
    """Stems of the content words, in order."""
    return [stem(w) for w in words(canonical(text)) if w not in STOPWORDS]


@lru_cache(maxsize=100_000)
def token_id(token: str) -> int:
    """A number below 2**32, the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=_ID_BITS // 8).digest(), "little")


def multipliers(seed: int) -> Ids:
    """Odd numbers, one per place in an N-gram, small enough that their product with a token's number fits into 63 bits."""
    half = (np.iinfo(np.int64).max >> _ID_BITS) // 2
    drawn = np.random.default_rng(seed).integers(0, half, size=max(ORDERS), dtype=np.int64)
    odd: Ids = drawn * 2 + 1
    return odd


def ngrams(texts: Sequence[Sequence[int]], odd: Ids) -> Iterator[tuple[Ids, Ids]]:
    """For each of ORDERS the distinct (N-gram, text) pairs of texts that are lists of token numbers.

    Two arrays of equal length: the mixed N-grams, `x[i] * odd[0] ^ x[i - 1] * odd[1] ^ ...`, and the index of each one's
    text, ascending. An N-gram never crosses the start of its text.
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    flat = np.fromiter((i for text in texts for i in text), np.int64, int(lengths.sum()))
    owner = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    mix = np.zeros_like(flat)
    for back in range(len(ORDERS)):
        mix[back:] ^= flat[: len(flat) - back] * odd[back]
        whole = place >= back
        yield _distinct(mix[whole], owner[whole])


def contained(text: Sequence[int], odd: Ids, order: int) -> list[Ids]:
    """The two shorter N-grams within each N-gram of `order`, as two arrays of indices.

    Indices refer to what `ngrams` gives for this one text: entry i of each array belongs to the i-th N-gram of `order`, and
    is an index into the N-grams of the order below. If different N-grams mix to one number, the first of them counts.
    """
    if len(text) < order:
        return [np.zeros(0, np.int64)] * 2
    products = [np.array(text, np.int64) * odd[back] for back in range(order)]

    def mixed(length: int) -> Ids:
        mix: Ids = products[0][length - 1 :].copy()
        for back in range(1, length):
            mix ^= products[back][length - 1 - back : len(text) - back]
        return mix

    _, places = np.unique(mixed(order), return_index=True)
    shorter = np.unique(mixed(order - 1), return_inverse=True)[1]
    return [shorter[places], shorter[places + 1]]


def _distinct(mixes: Ids, owners: Ids) -> tuple[Ids, Ids]:
    order = np.lexsort((mixes, owners))
    mixes, owners = mixes[order], owners[order]
    new = np.ones(len(mixes), bool)
    new[1:] = (mixes[1:] != mixes[:-1]) | (owners[1:] != owners[:-1])
    return mixes[new], owners[new]


def primes_above(sizes: Sequence[int], heads: int = HEADS) -> list[list[int]]:
    """For each size the `heads` smallest primes that are at least as large and not used for an earlier size."""
    used: set[int] = set()
    rows = []
    for size in sizes:
        row: list[int] = []
        candidate = max(size, 2)
        while len(row) < heads:
            if candidate not in used and _is_prime(candidate):
                row.append(candidate)
                used.add(candidate)
            candidate += 1
        rows.append(row)
    return rows


def _is_prime(n: int) -> bool:
    if n < 4:
        return n > 1
    return n % 2 > 0 and all(n % d for d in range(3, int(n**0.5) + 1, 2))
