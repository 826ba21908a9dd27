"""How near stored vectors are to a question's: exactly, or from an index that looks closely at the nearest alone.

The index is faiss's product quantizer of 4 bits for each pair of dimensions, scanned whole in SIMD registers (André et al.,
"Quicker ADC", PAMI 2019): a sixteenth of the bytes that the exact product reads. What it finds is scored again with the
vectors themselves, which stay on disk. It is trained by one thread on a fixed sample with a fixed seed, so that the same
vectors give the same index however many threads there are; parallel construction of a graph (HNSW) does not promise that.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from engram_eval.embedders.embedder import Vectors
from engram_eval.errors import note
from engram_eval.system.files import replacing

Choice = Literal["auto", "exact", "approximate"]

APPROXIMATE_FROM = 50_000
"""Vectors from which `auto` takes the index: the look-ups of `engram dense` cross at some 25,000 turns, with one and a half
vectors each; at 100,000 turns it is 8 ms for 22, at a million 46 for 186 (benchmarks/perf/scaling.md)."""
NEAREST = 2048
"""Vectors scored exactly, so many that hardly one of the 40 nearest is missed (`index recall` in benchmarks/perf/scaling.md)."""

_FORMAT = 1
_TRAINED_ON = 16_384
_SAMPLE = 4096
_AT_A_TIME = 256  # rows gathered: what fits the nearest cache
_ADDED_AT_A_TIME = 65_536
_DIGEST = 32  # bytes


class Nearest(Protocol):
    def similarities(self, vector: Vectors) -> Vectors:
        """The inner product of each stored vector with `vector` of shape (dimensions,); shape (stored,)."""
        ...

    def deviation(self, vector: Vectors, similarities: Vectors) -> float:
        """The standard deviation of the similarities to `vector`, of which `similarities` are those just given."""
        ...


class Exact:
    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def similarities(self, vector: Vectors) -> Vectors:
        product: Vectors = self._vectors @ vector
        return product

    def deviation(self, vector: Vectors, similarities: Vectors) -> float:  # noqa: ARG002
        return float(similarities.std()) if len(similarities) else 0.0


class Approximate:
    """The nearest have their own similarity, all others the lowest of these.

    The deviation is that of a fixed sample's true similarities, for the floor leaves too little of the others'.
    """

    def __init__(self, vectors: Vectors, path: Path, nearest: int) -> None:
        self._nearest = min(nearest, len(vectors))
        self._sample = vectors[np.linspace(0, len(vectors) - 1, min(_SAMPLE, len(vectors)), dtype=np.intp)]
        self._vectors, self._index = _opened(vectors, path)

    def similarities(self, vector: Vectors) -> Vectors:
        rows = self._index.search(vector[None], self._nearest)[1][0]
        rows = np.sort(rows[rows >= 0])
        if not len(rows):  # a vector of zeros is near to none
            return np.zeros(len(self._vectors), np.float32)
        found = np.concatenate(
            [self._vectors[rows[i : i + _AT_A_TIME]] @ vector for i in range(0, len(rows), _AT_A_TIME)]
        )
        similarities = np.full(len(self._vectors), found.min(), np.float32)
        similarities[rows] = found
        return similarities

    def deviation(self, vector: Vectors, similarities: Vectors) -> float:  # noqa: ARG002
        return float((self._sample @ vector).std())


@dataclass(frozen=True, slots=True)
class InParts:
    """Of stored vectors whose parts, one after the other, are searched each by itself."""

    parts: list[Nearest]

    def similarities(self, vector: Vectors) -> Vectors:
        return np.concatenate([np.zeros(0, np.float32), *(part.similarities(vector) for part in self.parts)])


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Chooses how the nearest are found. `folder` keeps the index files; recall takes at most `wanted` records."""

    choice: Choice
    folder: Path
    wanted: int

    def of(self, name: str, vectors: Vectors) -> Nearest:
        """Of shape (stored, dimensions). `name` tells this index from others in the folder."""
        return self._indexed(name, vectors) if self._approximate(len(vectors)) else Exact(vectors)

    def of_each(self, vectors: Vectors, parts: Sequence[tuple[str, int]]) -> InParts:
        """The same where the nearest of each part are wanted; a part: its name and number of vectors, in order."""
        if not self._approximate(len(vectors)):
            return InParts([Exact(vectors)])
        ends = np.cumsum([length for _, length in parts])
        return InParts(
            [self._indexed(name, vectors[end - n : end]) for (name, n), end in zip(parts, ends.tolist(), strict=True)]
        )

    def _approximate(self, stored: int) -> bool:
        if self.choice != "auto":
            return self.choice == "approximate"
        if stored < APPROXIMATE_FROM:
            return False
        if not installed():
            note(f"{stored:,} records are searched exactly; faster after: {INSTALL}")
            return False
        return True

    def _indexed(self, name: str, vectors: Vectors) -> Nearest:
        nearest = max(NEAREST, 4 * self.wanted)  # a turn may have three records, of which one is kept
        if len(vectors) <= nearest:  # all of them would be scored again
            return Exact(vectors.copy())
        return Approximate(vectors, self.folder / f"engram.{name}.index", nearest)


INSTALL = "pip install 'engram_eval[index]'"


def installed() -> bool:
    return importlib.util.find_spec("faiss") is not None


# --- the file: key, digest of the index, vectors, index ---------------------------------------------------------------


def _opened(vectors: Vectors, path: Path) -> tuple[Vectors, Any]:
    """The vectors as they lie in the file, and the index; made if the file is missing, damaged, or of other vectors."""
    key = _key(vectors)
    try:
        return _read(path, vectors.shape, key)
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError, ValueError) as error:  # faiss raises RuntimeError
        note(f"{path}: {error}; made again from the store")
    index = _made(vectors)
    try:
        _write(path, key, vectors, index)
        return _read(path, vectors.shape, key)
    except (OSError, ValueError) as error:
        note(f"{path} cannot be kept ({error}); the index is held in memory")
        return vectors.copy(), index


def _key(vectors: Vectors) -> bytes:
    import faiss

    digest = hashlib.blake2b(f"{_FORMAT} {faiss.__version__} {vectors.shape}".encode(), digest_size=_DIGEST)
    for first in range(0, len(vectors), _ADDED_AT_A_TIME):
        digest.update(np.ascontiguousarray(vectors[first : first + _ADDED_AT_A_TIME]).data)
    return digest.digest()


def _made(vectors: Vectors) -> Any:
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        dimensions = vectors.shape[1]
        pieces = dimensions // 2 if dimensions % 2 == 0 else dimensions
        index = faiss.IndexPQFastScan(dimensions, pieces, 4, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.min_points_per_centroid = 1  # else it warns on stderr
        index.train(vectors[np.linspace(0, len(vectors) - 1, min(_TRAINED_ON, len(vectors)), dtype=np.intp)])
        for first in range(0, len(vectors), _ADDED_AT_A_TIME):
            index.add(vectors[first : first + _ADDED_AT_A_TIME])
    finally:
        faiss.omp_set_num_threads(threads)
    return index


def _write(path: Path, key: bytes, vectors: Vectors, index: Any) -> None:
    import faiss

    codes = faiss.serialize_index(index).tobytes()
    with replacing(path) as file:
        file.write(key + hashlib.blake2b(codes, digest_size=_DIGEST).digest())
        vectors.tofile(file)
        file.write(codes)


def _read(path: Path, shape: tuple[int, ...], key: bytes) -> tuple[Vectors, Any]:
    """Raises OSError, RuntimeError or ValueError, which say what is wrong."""
    import faiss

    size = 4 * shape[0] * shape[1]
    with path.open("rb") as file:
        if file.read(_DIGEST) != key:
            raise ValueError("it is of other records than the store's")
        digest = file.read(_DIGEST)
        file.seek(2 * _DIGEST + size)
        codes = file.read()
    if hashlib.blake2b(codes, digest_size=_DIGEST).digest() != digest:
        raise ValueError("it is damaged")
    vectors = np.memmap(path, np.float32, "r", 2 * _DIGEST, (shape[0], shape[1]))
    if _key(vectors) != key:
        raise ValueError("it is damaged")
    return vectors, faiss.deserialize_index(np.frombuffer(codes, np.uint8))
