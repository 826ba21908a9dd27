"""Addressing: which buckets of the tables the words of a text stand for (arXiv 2601.07372, section 2.2).

Words are canonicalised, stemmed and numbered; each N-gram that ends at a word is mixed into one number, and each head
takes that number modulo a prime of its own. Nothing is learned and nothing depends on what is stored.
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

ORDERS = (1, 2, 3)  # from 1 without a gap: what an N-gram holds is of the order below
HEADS = 8  # the published demo's n_head_per_ngram
_ID_BITS = 32  # a token's number is a hash, since the vocabulary is open; the published one counts a tokenizer's


def canonical(text: str) -> str:
    """NFKC, NFD, accents stripped, lower case, runs of white space made one space: the published order."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text))
        text = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return " ".join(text.lower().split())


def tokens(text: str) -> list[str]:
    """Stems of the words that carry content, in order."""
    return [stem(w) for w in words(canonical(text)) if w not in STOPWORDS]


@lru_cache(maxsize=100_000)
def token_id(token: str) -> int:
    """The same number in every process and on every machine; under 2**32."""
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=_ID_BITS // 8).digest(), "little")


def multipliers(seed: int) -> Ids:
    """Odd numbers, one for each place in an N-gram, so small that a product with a token's number fits 63 bits."""
    half = (np.iinfo(np.int64).max >> _ID_BITS) // 2
    drawn = np.random.default_rng(seed).integers(0, half, size=max(ORDERS), dtype=np.int64)
    odd: Ids = drawn * 2 + 1
    return odd


def ngrams(texts: Sequence[Sequence[int]], odd: Ids) -> Iterator[tuple[Ids, Ids]]:
    """For each of ORDERS the distinct (N-gram, text) pairs of texts that are lists of token numbers.

    Two arrays of one length: the mixed N-grams, `x[i] * odd[0] ^ x[i - 1] * odd[1] ^ ...`, and the index of the text that
    each stands in, ascending. An N-gram never reaches over the start of its text.
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
    """The N-grams of the order below within those of `order`: for each of the two that they hold, its index.

    Indices are of what `ngrams` gives for this one text: entry i of each array belongs to the i-th N-gram of `order`. Where
    N-grams that differ mix to one number, it is the first one's.
    """
    if len(text) < order:
        return [np.zeros(0, np.int64)] * 2
    products = [np.array(text, np.int64) * odd[back] for back in range(order)]

    def mixed(words: int) -> Ids:
        mix: Ids = products[0][words - 1 :].copy()
        for back in range(1, words):
            mix ^= products[back][words - 1 - back : len(text) - back]
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


def primes_above(least: Sequence[int], heads: int = HEADS) -> list[list[int]]:
    """For each of the sizes `heads` primes not under it, all of them distinct, the smallest that are left."""
    taken: set[int] = set()
    out = []
    for size in least:
        row: list[int] = []
        candidate = max(size, 2)
        while len(row) < heads:
            if candidate not in taken and _is_prime(candidate):
                row.append(candidate)
                taken.add(candidate)
            candidate += 1
        out.append(row)
    return out


def _is_prime(n: int) -> bool:
    if n < 4:
        return n > 1
    return n % 2 > 0 and all(n % d for d in range(3, int(n**0.5) + 1, 2))
