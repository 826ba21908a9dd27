"""The file of an approximate index: made from vectors once, then read back.

    key of the vectors | digest of the index | the vectors, memory-mapped | the index, serialized

The key identifies the vectors, the format and faiss's version. A file that is missing, damaged, or of other vectors is made
again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from engram_eval.embedders.embedder import Vectors
from engram_eval.errors import note
from engram_eval.system.files import replacing

_FORMAT = 1
_TRAINED_ON = 16_384  # vectors
_ADDED_AT_A_TIME = 65_536  # vectors
_DIGEST = 32  # bytes


def open_index(vectors: Vectors, path: Path) -> tuple[Vectors, Any]:
    """The vectors, memory-mapped from the file, and faiss's index of them.

    If the file cannot be written, the vectors are copied and the index is kept in memory only.
    """
    key = _key(vectors)
    try:
        return _read(path, vectors.shape, key)
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError, ValueError) as error:  # faiss raises RuntimeError
        note(f"{path}: {error}; rebuilt from the store")
    index = _build(vectors)
    try:
        _write(path, key, vectors, index)
        return _read(path, vectors.shape, key)
    except (OSError, ValueError) as error:
        note(f"{path}: the index cannot be saved ({error}) and is kept in memory")
        return vectors.copy(), index


def _key(vectors: Vectors) -> bytes:
    import faiss

    digest = hashlib.blake2b(f"{_FORMAT} {faiss.__version__} {vectors.shape}".encode(), digest_size=_DIGEST)
    for first in range(0, len(vectors), _ADDED_AT_A_TIME):
        digest.update(np.ascontiguousarray(vectors[first : first + _ADDED_AT_A_TIME]).data)
    return digest.digest()


def _build(vectors: Vectors) -> Any:
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        dimensions = vectors.shape[1]
        pieces = dimensions // 2 if dimensions % 2 == 0 else dimensions
        index = faiss.IndexPQFastScan(dimensions, pieces, 4, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.min_points_per_centroid = 1  # otherwise faiss warns on stderr
        index.train(vectors[np.linspace(0, len(vectors) - 1, min(_TRAINED_ON, len(vectors)), dtype=np.intp)])
        for first in range(0, len(vectors), _ADDED_AT_A_TIME):
            index.add(vectors[first : first + _ADDED_AT_A_TIME])
    finally:
        faiss.omp_set_num_threads(threads)
    return index


def _write(path: Path, key: bytes, vectors: Vectors, index: Any) -> None:
    import faiss

    serialized = faiss.serialize_index(index).tobytes()
    with replacing(path) as file:
        file.write(key + hashlib.blake2b(serialized, digest_size=_DIGEST).digest())
        vectors.tofile(file)
        file.write(serialized)


def _read(path: Path, shape: tuple[int, ...], key: bytes) -> tuple[Vectors, Any]:
    """Raises OSError, RuntimeError or ValueError whose message says what is wrong with the file."""
    import faiss

    size = 4 * shape[0] * shape[1]
    with path.open("rb") as file:
        if file.read(_DIGEST) != key:
            raise ValueError("the index belongs to other records")
        digest = file.read(_DIGEST)
        file.seek(2 * _DIGEST + size)
        serialized = file.read()
    if hashlib.blake2b(serialized, digest_size=_DIGEST).digest() != digest:
        raise ValueError("the index is damaged")
    vectors = np.memmap(path, np.float32, "r", 2 * _DIGEST, (shape[0], shape[1]))
    if _key(vectors) != key:
        raise ValueError("the vectors are damaged")
    return vectors, faiss.deserialize_index(np.frombuffer(serialized, np.uint8))
