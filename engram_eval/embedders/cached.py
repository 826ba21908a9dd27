"""An embedder whose vectors are kept on disk."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engram_eval.errors import note
from engram_eval.llm.cost.metering import Meter

if TYPE_CHECKING:
    pass
from engram_eval.embedders.embedder import Embedder, Vectors

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
