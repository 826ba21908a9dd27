"""Distil word vectors from all-MiniLM-L6-v2 into the table that the offline judge looks words up in.

    python benchmarks/distil_word_vectors.py

Each word goes through the whole model alone, as in model2vec (Tulkens & van Dongen 2024); its vector is centred, reduced by
principal components and stored in 8 bits. The words are those of the model's own vocabulary and of cl100k_base, one per stem.
Writes engram_eval/judges/offline/word_vectors.npz. Takes some minutes on two cores.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import numpy as np
import splintr

from engram_eval.embedders.minilm import MiniLMEmbedder
from engram_eval.embedders.static import model_folder
from engram_eval.judges.offline.word_vectors import TABLE
from engram_eval.language.words import STOPWORDS, stem

DIMENSIONS = 64
_FIRST_WORD = 1996  # row of "the" in the model's vocabulary; markers and single characters come before it
_BATCH = 1_000


def vocabulary() -> Iterator[str]:
    """Lower-case words, the most frequent first."""
    yield from (model_folder() / "vocab.txt").read_text("utf-8").splitlines()[_FIRST_WORD:]
    tokenizer = splintr.Tokenizer.from_pretrained("cl100k_base")
    for index in range(tokenizer.vocab_size):
        token = tokenizer.decode_lossy([index])
        if token.startswith(" ") and token.islower() and len(token) > 4:
            yield token[1:]


def words_by_stem() -> dict[str, str]:
    """The most frequent word of each stem."""
    by_stem: dict[str, str] = {}
    for word in vocabulary():
        if len(word) > 1 and word.isascii() and word.isalpha() and word not in STOPWORDS:
            by_stem.setdefault(stem(word), word)
    return by_stem


def main() -> int:
    by_stem = words_by_stem()
    words, model = list(by_stem.values()), MiniLMEmbedder()
    batches = [words[start : start + _BATCH] for start in range(0, len(words), _BATCH)]
    vectors = np.vstack([asyncio.run(model.embed(batch)) for batch in batches]).astype(np.float64)
    vectors -= vectors.mean(axis=0)
    _, components = np.linalg.eigh(vectors.T @ vectors)
    reduced = vectors @ components[:, ::-1][:, :DIMENSIONS]
    reduced /= np.abs(reduced).max(axis=1, keepdims=True)
    stems = np.frombuffer("\n".join(by_stem).encode(), np.uint8)
    np.savez_compressed(TABLE, stems=stems, vectors=np.round(127 * reduced).astype(np.int8))
    print(f"{len(words):,} words, {DIMENSIONS} dimensions, {TABLE.stat().st_size:,} bytes: {TABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
