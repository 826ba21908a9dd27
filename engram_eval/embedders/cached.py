"""An embedder that keeps its vectors on disk."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from threading import Lock
from time import perf_counter

import numpy as np
import numpy.typing as npt

from engram_eval.embedders.embedder import Embedder, Vectors
from engram_eval.errors import note
from engram_eval.llm.cost.metering import Meter
from engram_eval.system.sqlite import open_database, select_by_keys, transaction

_FORMAT = 2  # raise it when the built-in embedders give other vectors than before, or the table changes
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB, seconds REAL) WITHOUT ROWID;"
_LOOKUP = "SELECT key, vector, seconds FROM vectors WHERE key IN ({})"
_LARGEST = 1 << 30  # bytes: a cache of this size is read and no longer added to


class CachedEmbedder:
    """Keeps another embedder's vectors in SQLite, by the hash of the text. Safe between processes.

    Vectors are kept in half precision, and new ones are returned in that precision too: a run with a warm cache gives the
    same results as one with a cold cache. The same goes for times: the cache keeps how long each text took to embed, and
    the time that it saves is added to the meter.

    Each class of embedder has a cache of its own, and so does each `version` where the class has one.
    """

    def __init__(self, embedder: Embedder, folder: Path, meter: Meter) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.dimensions = embedder.dimensions
        self._meter = meter
        kind = type(embedder)
        identity = f"{_FORMAT} {kind.__module__}.{kind.__qualname__} {embedder.name} {getattr(embedder, 'version', '')}"
        path = folder / "embeddings" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.sqlite"
        self._cache = _VectorCache(path, embedder.dimensions)

    def metered(self, meter: Meter) -> CachedEmbedder:
        """The same embedder and cache with another meter."""
        twin = copy(self)
        twin._meter = meter
        return twin

    async def embed(self, texts: Sequence[str]) -> Vectors:
        called = perf_counter()
        keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
        known = self._cache.read(keys)
        missing = [i for i, key in enumerate(keys) if key not in known]
        started = perf_counter()
        fresh = (await self._embedder.embed([texts[i] for i in missing])).astype(np.float16) if missing else None
        embedding_s = perf_counter() - started
        out = np.empty((len(texts), self.dimensions), np.float32)
        if fresh is not None:
            self._cache.write(
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
        self._cache.close()


class _VectorCache:
    """Vectors and how long they took, by the hash of the text.

    If the file cannot be read or written (full disk, read-only folder, broken file), the cache is switched off and one note
    is printed: a cache saves time and must never fail a run.
    """

    def __init__(self, path: Path, dimensions: int) -> None:
        self._dimensions = dimensions
        self._db: sqlite3.Connection | None = None
        self._lock = Lock()
        with _Tolerant(self):
            path.parent.mkdir(parents=True, exist_ok=True)
            # What a crash loses is computed again. A memory may embed in a thread of its own.
            self._db = open_database(path, schema=_SCHEMA, synchronous="OFF", any_thread=True)

    def read(self, keys: list[bytes]) -> dict[bytes, tuple[npt.NDArray[np.float16], float]]:
        known: dict[bytes, tuple[npt.NDArray[np.float16], float]] = {}
        with self._lock, _Tolerant(self):
            for key, blob, seconds in select_by_keys(self._db, _LOOKUP, keys) if self._db else ():
                if len(blob) == 2 * self._dimensions:
                    known[key] = np.frombuffer(blob, np.float16), seconds
        return known

    def write(self, rows: list[tuple[bytes, bytes, float]]) -> None:
        with self._lock, _Tolerant(self):
            if self._db is not None and rows and self._size() < _LARGEST:
                with transaction(self._db):
                    self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _size(self) -> int:
        """Bytes of the cache."""
        assert self._db is not None
        pages, page = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * page)


class _Tolerant:
    """Switches a failing cache off instead of failing the run."""

    def __init__(self, owner: _VectorCache) -> None:
        self._owner = owner

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, sqlite3.Error | OSError):
            return False
        note(f"the embedding cache is off, vectors are computed again ({error})")
        self._owner.close()
        return True
