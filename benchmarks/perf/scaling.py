"""What a look-up costs as memory grows: `conditional` against BM25 and exact dense search.

    python benchmarks/perf/scaling.py
    python benchmarks/perf/scaling.py --max 10000000 --backend conditional --csv scaling.csv

Turns are made as they are stored: Zipf-distributed words of a vocabulary that grows with the text, and in each turn a pair of
rare words that only it holds; a question asks for such a pair. Each backend and size runs in a process of its own. Columns:

    look-up   p50 and p95 in ms of finding and scoring turns, the question's embedding at hand, nothing rendered
    recall    the same for the whole call: embedding, look-up, the turns' text and its tokens
    hit       share of questions whose turn stands in the context
    ingest    turns a second, embedding and making ready included
    memory    resident MB after the questions, above what the process had before it opened the memory
    mapped    of these, pages of files, which the kernel takes back when it needs them
    disk      MB of the memory's files

Embeddings are made from the words' hashes, not by a model: the same cost for each backend, and small.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from engram_eval.backends import Memory, Services
from engram_eval.backends.bm25 import Bm25Backend, Bm25Memory
from engram_eval.backends.conditional import ConditionalBackend, ConditionalMemory
from engram_eval.backends.dense import DenseBackend, DenseMemory
from engram_eval.embedding import Vectors
from engram_eval.text import content_stems
from engram_eval.tokens import token_counter
from engram_eval.types import ConversationInfo, Session, Turn

_BACKENDS: dict[
    str, tuple[Callable[[], Any], int]
] = {  # each with the most turns it is measured at: it holds all in memory
    "conditional": (ConditionalBackend, 10**8),
    "bm25": (Bm25Backend, 10**5),
    "dense": (DenseBackend, 10**6),
}
_BUDGET = 916
_SESSION = 500  # turns
_QUESTIONS = 200
_WARM_UP = 20
_DIMENSIONS = 384
_COMMON_WORDS = 12  # a turn


class HashEmbedder:
    """The sum of one pseudo-random row a word, longer words weighing more: as fast as a table look-up."""

    name = "hash"
    dimensions = _DIMENSIONS

    def __init__(self) -> None:
        self._rows = np.random.default_rng(0).standard_normal((4096, _DIMENSIONS), np.float32)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        out = np.zeros((len(texts), _DIMENSIONS), np.float32)
        for i, text in enumerate(texts):
            words = text.lower().split()
            ids = [zlib.crc32(word.encode()) % len(self._rows) for word in words]
            weights = np.array([len(word) for word in words], np.float32) ** 2  # the rare words here are the long ones
            out[i] = weights @ self._rows[ids]
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        np.divide(out, norms, out=out, where=norms > 0)
        return out


def _word(number: int) -> str:
    """A word that no stemmer alters: consonants and vowels in turn, ending in "o"."""
    letters = ""
    while True:
        number, rest = divmod(number, 100)
        letters += "bdfgjklmnprtvzhwxqcs"[rest // 5] + "aeiou"[rest % 5]
        if not number:
            return letters + "zo"


def _rare(turn: int) -> tuple[str, str]:
    """Two words of a vocabulary of the size of the text's root, a pair that no other turn under 10^8 has."""
    return _word(10**6 + turn // 10_000), _word(2 * 10**6 + turn % 10_000)


def sessions(turns: int) -> Iterator[Session]:
    """Sessions of a conversation of so many turns, one at a time; the same whenever it is asked for."""
    generator = np.random.default_rng(1)
    start = datetime(2020, 1, 1)
    for first in range(0, turns, _SESSION):
        ranks = generator.zipf(1.3, (min(_SESSION, turns - first), _COMMON_WORDS)) % 10**6
        said = []
        for i, row in enumerate(ranks.tolist()):
            words = [_word(rank) for rank in row]
            words[4:4] = _rare(first + i)
            said.append(Turn(str(first + i), ("Ann", "Bob")[i % 2], " ".join(words)))
        yield Session(f"S{first}", start + timedelta(hours=first // _SESSION), tuple(said))


async def measure(backend: str, turns: int, folder: Path) -> dict[str, float]:
    embedder = HashEmbedder()
    services = Services(embedder, token_counter(), folder)
    services.tokens.count("the encoding is read when it is first used")
    before, _ = _resident_mb()
    memory: Memory = await _BACKENDS[backend][0]().open(ConversationInfo("scaling", ("Ann", "Bob")), services)
    started = perf_counter()
    making = 0.0
    source = sessions(turns)
    while True:
        called = perf_counter()
        session = next(source, None)
        making += perf_counter() - called
        if session is None:
            break
        await memory.ingest(session)
    await memory.ready()
    ingest_s = perf_counter() - started - making
    asked = np.random.default_rng(2).integers(0, turns, _WARM_UP + _QUESTIONS).tolist()
    look_ups, recalls, hits = [], [], []
    for turn in asked:
        query = f"When did Ann or Bob say {' '.join(_rare(turn))} ?"
        vector = (await embedder.embed([query]))[0]
        called = perf_counter()
        _look_up(memory, query, vector)
        look_ups.append(perf_counter() - called)
        called = perf_counter()
        context = await memory.recall(query, asked_at=None, budget=_BUDGET)
        recalls.append(perf_counter() - called)
        hits.append(any(str(turn) in item.turn_ids for item in context.items))
    after, mapped = _resident_mb()
    disk = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
    await memory.close()
    look_up_ms, recall_ms = (1000 * np.array(times[_WARM_UP:]) for times in (look_ups, recalls))
    return {
        "look-up p50 ms": float(np.percentile(look_up_ms, 50)),
        "look-up p95 ms": float(np.percentile(look_up_ms, 95)),
        "recall p50 ms": float(np.percentile(recall_ms, 50)),
        "recall p95 ms": float(np.percentile(recall_ms, 95)),
        "hit": float(np.mean(hits[_WARM_UP:])),
        "ingest turns/s": turns / ingest_s,
        "memory MB": after - before,
        "mapped MB": mapped,
        "disk MB": disk / 1e6,
    }


def _look_up(memory: Memory, query: str, vector: Vectors) -> None:
    """What each backend does between the question's embedding and the turns' text."""
    if isinstance(memory, ConditionalMemory):
        memory.look_up(query, vector, [0, 1])
    elif isinstance(memory, Bm25Memory):
        assert memory._index is not None
        memory._index.scores(content_stems(query)).argsort()
    elif isinstance(memory, DenseMemory):
        assert memory._vectors is not None
        (memory._vectors @ vector).argsort()


def _resident_mb() -> tuple[float, float]:
    """Of this process: all, and that which is pages of files. (Linux.)"""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssFile"))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description="What a look-up costs as memory grows.")
    parser.add_argument(
        "--max", type=int, default=10**6, help="stored turns go up to here by tens (default: %(default)s)"
    )
    parser.add_argument("--backend", action="append", choices=list(_BACKENDS), help="may be repeated (default: all)")
    parser.add_argument("--csv", type=Path, help="also write the table there")
    parser.add_argument("--folder", type=Path, help="where the memories' files go for the time (default: the system's)")
    parser.add_argument("--one", nargs=2, metavar=("BACKEND", "TURNS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, turns = arguments.one[0], int(arguments.one[1])
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(json.dumps(asyncio.run(measure(name, turns, Path(folder)))))
        return
    rows: list[dict[str, Any]] = []
    for name in arguments.backend or _BACKENDS:
        turns = 1000
        while turns <= min(arguments.max, _BACKENDS[name][1]):
            command = [sys.executable, __file__, "--one", name, str(turns)]
            command += ["--folder", str(arguments.folder)] if arguments.folder else []
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            row = {"backend": name, "turns": turns, **json.loads(done.stdout)}
            if not rows:
                print(" ".join(f"{key:>14}" for key in row))
            rows.append(row)
            print(" ".join(_cell(value) for value in row.values()), flush=True)
            turns *= 10
    p50 = [row["look-up p50 ms"] for row in rows if row["backend"] == "conditional"]
    if len(p50) > 1:
        print(f"conditional: look-up p50 at the largest size is {p50[-1] / p50[0]:.2f} x that at the smallest")
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def _cell(value: str | float) -> str:
    return (
        f"{value:>14,.2f}"
        if isinstance(value, float)
        else f"{value:>14,}"
        if isinstance(value, int)
        else f"{value:>14}"
    )


if __name__ == "__main__":
    main()
