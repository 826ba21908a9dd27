"""all-MiniLM-L6-v2 in numpy, held against the reference implementation."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from engram_eval.embedders.minilm import MiniLMEmbedder


@pytest.fixture(scope="module")
def embedder() -> MiniLMEmbedder:
    return MiniLMEmbedder()


def test_it_gives_what_the_reference_gives(embedder: MiniLMEmbedder) -> None:
    """The first numbers of transformers' BertModel with the same weights, mean-pooled and normalised."""
    row = asyncio.run(embedder.embed(["The cat sat on the mat."]))[0]
    np.testing.assert_allclose(row[:5], [0.1302, -0.0158, -0.0367, 0.0580, -0.0598], atol=1e-4)
    assert row.shape == (384,)


def test_a_text_is_embedded_alike_alone_and_in_company(embedder: MiniLMEmbedder) -> None:
    texts = ["a dog", "", "the tax return is due on Friday, as every year " * 3, "a puppy", " "]
    together = asyncio.run(embedder.embed(texts))
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(asyncio.run(embedder.embed([text]))[0], row, atol=1e-5)
    assert not together[1].any()
    assert not together[4].any()
    np.testing.assert_allclose(np.linalg.norm(together[[0, 2, 3]], axis=1), 1, atol=1e-5)
    assert together[0] @ together[3] > together[0] @ together[2]


def test_a_long_text_counts_by_its_beginning(embedder: MiniLMEmbedder) -> None:
    long = "word " * 300
    one, two = asyncio.run(embedder.embed([long + "dog", long + "tax return"]))
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert asyncio.run(embedder.embed([])).shape == (0, 384)
