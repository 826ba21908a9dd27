"""The whole all-MiniLM-L6-v2 in numpy: six layers of BERT and mean pooling (Reimers & Gurevych 2019, SBERT, section 3).

It needs no torch. It embeds some sixty turns a second on two cores, and each text only once, because vectors are cached. The
static embedder uses one matrix of the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from tokenizers import Tokenizer

from engram_eval.embedders.embedder import Vectors
from engram_eval.embedders.static import model_folder

_HEADS, _LAYERS, _EPSILON = 12, 6, 1e-12
_LONGEST = 256  # tokens, the model's own limit (sentence_bert_config.json)
_BATCH_TOKENS = 8192  # with padding; bounds the memory of attention

Matrix = npt.NDArray[np.float32]


class MiniLMEmbedder:
    """Rows of unit length. Only the first 256 tokens of a text count."""

    name = "minilm"

    def __init__(self) -> None:
        folder = model_folder()
        with safe_open(folder / "model.safetensors", framework="np") as tensors:
            names = [name for name in tensors.keys() if not name.endswith("position_ids")]  # noqa: SIM118 - not a dictionary
            self._weights: dict[str, Matrix] = {name: tensors.get_tensor(name) for name in names}
        self.dimensions = self._weights["embeddings.word_embeddings.weight"].shape[1]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        out = np.zeros((len(texts), self.dimensions), np.float32)
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted((i for i, text in enumerate(texts) if text.strip()), key=lambda i: len(ids[i]))
        while order:
            longest = len(ids[order[-1]])
            batch = order[-max(1, _BATCH_TOKENS // longest) :]
            del order[-len(batch) :]
            out[batch] = self._mean_pool([ids[i] for i in batch], longest)
        return out

    def _mean_pool(self, ids: list[list[int]], longest: int) -> Matrix:
        padded = np.zeros((len(ids), longest), np.intp)
        mask = np.zeros((len(ids), longest), np.float32)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1.0
        hidden = self._word_embeddings(padded)
        for layer in range(_LAYERS):
            hidden = self._layer(f"encoder.layer.{layer}", hidden, mask)
        pooled: Matrix = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled

    def _word_embeddings(self, ids: npt.NDArray[np.intp]) -> Matrix:
        weights = self._weights
        words = weights["embeddings.word_embeddings.weight"][ids]
        positions = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        summed: Matrix = words + positions + weights["embeddings.token_type_embeddings.weight"][0]
        return self._layer_norm("embeddings.LayerNorm", summed)

    def _layer(self, name: str, hidden: Matrix, mask: Matrix) -> Matrix:
        texts, length, width = hidden.shape

        def heads(part: str) -> Matrix:
            projected = self._linear(f"{name}.attention.self.{part}", hidden)
            return projected.reshape(texts, length, _HEADS, -1).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // _HEADS))
        scores += (1.0 - mask[:, None, None, :]) * np.float32(-1e9)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed: Matrix = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(texts, length, width).astype(np.float32)
        attended = self._linear(f"{name}.attention.output.dense", mixed)
        hidden = self._layer_norm(f"{name}.attention.output.LayerNorm", hidden + attended)
        inner = _gelu(self._linear(f"{name}.intermediate.dense", hidden))
        return self._layer_norm(f"{name}.output.LayerNorm", hidden + self._linear(f"{name}.output.dense", inner))

    def _linear(self, name: str, hidden: Matrix) -> Matrix:
        flat = hidden.reshape(-1, hidden.shape[-1]) @ self._weights[f"{name}.weight"].T
        out: Matrix = (flat + self._weights[f"{name}.bias"]).reshape(*hidden.shape[:-1], -1)
        return out

    def _layer_norm(self, name: str, hidden: Matrix) -> Matrix:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
        out: Matrix = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return out


def _gelu(x: Matrix) -> Matrix:
    """x times the normal cumulative distribution; erf is exact to 1.5e-7 (Abramowitz & Stegun 1964, 7.1.26)."""
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1.0 / (1.0 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1.0 - series * np.exp(-z * z))
    out: Matrix = (0.5 * x * (1.0 + erf)).astype(np.float32)
    return out
