"""all-MiniLM-L6-v2 in numpy, compared with the reference implementation."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from engram_eval.embedders.minilm import MiniLMEmbedder


@pytest.fixture(scope="module")
def embedder() -> MiniLMEmbedder:
    return MiniLMEmbedder()


def test_rows_equal_the_reference_implementation(embedder: MiniLMEmbedder) -> None:
    """The first numbers of transformers' BertModel with the same weights, mean-pooled and normalised."""
    row = asyncio.run(embedder.embed(["The cat sat on the mat."]))[0]
    np.testing.assert_allclose(row[:5], [0.1302, -0.0158, -0.0367, 0.0580, -0.0598], atol=1e-4)
    assert row.shape == (384,)


def test_a_row_does_not_depend_on_the_other_texts(embedder: MiniLMEmbedder) -> None:
    texts = ["a dog", "", "the tax return is due on Friday, as every year " * 3, "a puppy", " "]
    together = asyncio.run(embedder.embed(texts))
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(asyncio.run(embedder.embed([text]))[0], row, atol=1e-5)
    assert not together[1].any()
    assert not together[4].any()
    np.testing.assert_allclose(np.linalg.norm(together[[0, 2, 3]], axis=1), 1, atol=1e-5)
    assert together[0] @ together[3] > together[0] @ together[2]


def test_only_the_beginning_of_a_long_text_counts(embedder: MiniLMEmbedder) -> None:
    long = "word " * 300
    first, second = asyncio.run(embedder.embed([long + "dog", long + "tax return"]))
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert asyncio.run(embedder.embed([])).shape == (0, 384)
