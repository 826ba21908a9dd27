"""Measure the look-up time as memory grows: `conditional`, BM25, and `engram` with exact and approximate search.

    python benchmarks/perf/scaling.py --csv scaling.csv --plot scaling.svg --markdown scaling.md
    python benchmarks/perf/scaling.py --max 10000000 --backend conditional
    python benchmarks/perf/scaling.py --from scaling.csv --plot scaling.svg --markdown scaling.md

Turns are generated while they are stored. Their words have a Zipf distribution, and each turn has a pair of rare words that no
other turn has; each word of the pair occurs in as many turns as the square root of their number. A question asks for such a
pair. `engram` makes one and a half typed records per turn. For each backend and size, one process fills a memory, and another
process opens it and asks, as in a resumed run. (`bm25` keeps no files, so the second process fills it again.) Linear algebra
uses one thread. The memory's files are read once before, so their pages are in the kernel's cache. Columns:

    look-up   p50 and p95 in ms of finding and scoring turns and choosing the best, without rendering. `bm25` chooses 60, as
              `engram` does, although its retrieve() sorts all turns that share a word; `conditional` does not sort its few
              candidates
    buckets   mean number read per look-up of `conditional`: at most eight for each word, pair and triple of the question
    x         the median look-up as a multiple of that of a memory of 1,000 turns, which the same process opens and asks in
    smallest  turn, so that a temporarily slower machine affects both
    cold      p50 in ms of a look-up after the kernel was asked to drop the pages of the memory's files, so that they are read
              from disk. What a backend holds in memory or has mapped stays
    retrieve  p50 and p95 in ms of the whole call: embedding, look-up, the text of the turns and their tokens
    hit       share of questions whose turn is in the context
    index     share of the 40 records nearest to the question's embedding that an index finds, mean over indexes; 1 if there
    recall    is no index
    ingest    turns per second, including embedding and preparing for retrieval
    filling   peak resident MB of the process that filled the memory, above its size before
    memory    resident MB of the process that asked, after the questions, above its size before it opened the memory
    mapped    the part of this in MB that is pages of files, which the kernel can reclaim
    disk      MB of the memory's files

`engram dense` ranks by embeddings alone (`ranker=dense`), as published; `engram` is the default, hybrid and `index=auto`.

Embeddings are computed from hashes of the words, not by a model, so their cost is small and equal for all backends. The
vector of a word is the sum, with equal weights, of a direction shared by all words, the direction of one of 64 topics, and its
own, because real embeddings are neither independent nor evenly spread. The vectors affect the index recall but not the
look-up time.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from math import isqrt
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from scaling_report import Row, cell, crossings, draw, growth, page

from engram_eval.backends.backend import Services
from engram_eval.backends.bm25 import Bm25Backend, Bm25Memory
from engram_eval.backends.conditional import ConditionalBackend, ConditionalMemory
from engram_eval.backends.engram import EngramBackend, EngramMemory
from engram_eval.backends.engram.packing import merge
from engram_eval.backends.engram.ranking import DenseRanker
from engram_eval.backends.engram.vector_search import ApproximateSearch
from engram_eval.backends.scores import best_first
from engram_eval.embedders.embedder import Vectors
from engram_eval.language.tokens import token_counter
from engram_eval.language.words import content_stems
from engram_eval.types import ConversationInfo, Session, Turn

# Each backend with the most turns that it is measured at. The memory of `conditional` hardly grows. 10^7 turns of the others
# take more than 20 GB, for lists of stems, vectors and record objects.
Memory = Bm25Memory | ConditionalMemory | EngramMemory
_BACKENDS: dict[str, tuple[Callable[[], Any], int]] = {
    "conditional": (ConditionalBackend, 10**8),
    "bm25": (Bm25Backend, 10**6),
    "engram dense exact": (lambda: EngramBackend(ranker="dense", index="exact"), 10**6),
    "engram dense approximate": (lambda: EngramBackend(ranker="dense", index="approximate"), 10**6),
    "engram": (EngramBackend, 10**6),
}
_BUDGET = 916
_SESSION = 500  # turns
_QUESTIONS = 200
_WARM_UP = 20
_COLD = 20  # questions
_READ = 1 << 24  # bytes
_SMALLEST = 1000  # turns
_DIMENSIONS = 384
_COMMON_WORDS = 12  # per turn
_OPENINGS = (
    "I went there",
    "I like this",
    "I usually went there",
    "I like how it was",
)  # `engram` makes 3 records of two turns
_NEAREST = 40  # records; `index recall` is the share of them that an index finds


@cache
def _word_rows() -> Vectors:
    own, topic_rows, shared_row = (
        np.random.default_rng(seed).standard_normal((count, _DIMENSIONS), np.float32)
        for seed, count in enumerate((4096, 64, 1))
    )
    rows: Vectors = own + topic_rows[np.arange(len(own)) % len(topic_rows)] + shared_row
    return rows


class HashEmbedder:
    """Embeds a text as the sum of one pseudo-random vector per word, with more weight for longer words."""

    name = "hash"
    dimensions = _DIMENSIONS

    def __init__(self) -> None:
        self._rows = _word_rows()

    async def embed(self, fields: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(fields), _DIMENSIONS), np.float32)
        for i, text in enumerate(fields):
            words = text.lower().split()
            ids = [zlib.crc32(word.encode()) % len(self._rows) for word in words]
            weights = np.array([len(word) for word in words], np.float32) ** 2  # the rare words here are the long ones
            vectors[i] = weights @ self._rows[ids]
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, norms, out=vectors, where=norms > 0)
        return vectors


def _word(number: int) -> str:
    """A word that no stemmer changes: alternating consonants and vowels, ending in "o"."""
    letters = ""
    while True:
        number, rest = divmod(number, 100)
        letters += "bdfgjklmnprtvzhwxqcs"[rest // 5] + "aeiou"[rest % 5]
        if not number:
            return letters + "zo"


def _rare_words(turn: int, turns: int) -> tuple[str, str]:
    """Two words that occur together only in this turn of all `turns`."""
    root = isqrt(turns - 1) + 1
    return _word(10**6 + turn // root), _word(2 * 10**6 + turn % root)


def sessions(turns: int) -> Iterator[Session]:
    """Yields the sessions of a conversation of so many turns; the same on every call."""
    generator = np.random.default_rng(1)
    start = datetime(2020, 1, 1)
    for first in range(0, turns, _SESSION):
        ranks = generator.zipf(1.3, (min(_SESSION, turns - first), _COMMON_WORDS)) % 10**6
        turns_of_session = []
        for i, row in enumerate(ranks.tolist()):
            words = [_word(rank) for rank in row]
            words[4:4] = _rare_words(first + i, turns)
            turns_of_session.append(Turn(str(first + i), ("Ann", "Bob")[i % 2], " ".join([_OPENINGS[i % 4], *words])))
        yield Session(f"S{first}", start + timedelta(hours=first // _SESSION), tuple(turns_of_session))


async def _open_memory(backend: str, folder: Path) -> Memory:
    folder.mkdir(exist_ok=True)
    services = Services(HashEmbedder(), token_counter(), folder)
    memory: Memory = await _BACKENDS[backend][0]().open(ConversationInfo("scaling", ("Ann", "Bob")), services)
    return memory


async def _ingest_all(memory: Memory, turns: int) -> float:
    """Ingests so many turns and returns the seconds that the memory took."""
    started = perf_counter()
    generating = 0.0
    source = sessions(turns)
    while True:
        requested = perf_counter()
        session = next(source, None)
        generating += perf_counter() - requested
        if session is None:
            break
        await memory.ingest(session)
    await memory.ready()
    return perf_counter() - started - generating


async def fill_memory(backend: str, turns: int, folder: Path) -> dict[str, float]:
    """Fills the memories `memory` and `smallest` in a folder, and measures the first."""
    smallest = await _open_memory(backend, folder / "smallest")
    await _ingest_all(smallest, _SMALLEST)
    await smallest.close()
    before = _process_mb("VmRSS")
    memory = await _open_memory(backend, folder / "memory")
    seconds = await _ingest_all(memory, turns)
    await memory.close()
    return {"ingest turns/s": turns / seconds, "filling MB": _process_mb("VmHWM") - before}


async def measure_retrieval(backend: str, turns: int, folder: Path) -> dict[str, float]:
    """Opens the memories of `fill_memory` and measures look-ups and retrieval."""
    token_counter().count("load the encoding before measuring")
    smallest = await _reopen(backend, _SMALLEST, folder / "smallest")
    before, mapped_before = _process_mb("VmRSS"), _process_mb("RssFile")
    memory = await _reopen(backend, turns, folder / "memory")
    turn_numbers = np.random.default_rng(2).integers(0, turns, _WARM_UP + _QUESTIONS).tolist()
    look_ups, retrievals, hits, buckets = [], [], [], []
    for turn in turn_numbers:
        query = _query(turn, turns)
        buckets_before = _buckets(memory)
        look_ups.append(await _look_up_seconds(memory, query))
        buckets.append(_buckets(memory) - buckets_before)
        started = perf_counter()
        context = await memory.retrieve(query, asked_at=None, budget=_BUDGET)
        retrievals.append(perf_counter() - started)
        hits.append(any(str(turn) in item.turn_ids for item in context.items))
    resident, mapped = _process_mb("VmRSS") - before, _process_mb("RssFile") - mapped_before
    growth_factor = await _growth_factor(smallest, memory, turns)
    cold = [await _cold_look_up(memory, _query(turn, turns), folder / "memory") for turn in turn_numbers[-_COLD:]]
    # The rankers embed questions without the speakers' names.
    queries = [f"When did say {' '.join(_rare_words(turn, turns))}" for turn in turn_numbers[:20]]
    index_recall = _index_recall(memory, await HashEmbedder().embed(queries))
    disk = sum(file.stat().st_blocks * 512 for file in (folder / "memory").iterdir())
    await smallest.close()
    await memory.close()
    look_up_ms, retrieval_ms = (1000 * np.array(times[_WARM_UP:]) for times in (look_ups, retrievals))
    return {
        "look-up p50 ms": float(np.percentile(look_up_ms, 50)),
        "look-up p95 ms": float(np.percentile(look_up_ms, 95)),
        "x smallest": growth_factor,
        "buckets": float(np.mean(buckets)),
        "cold p50 ms": 1000 * float(np.median(cold)),
        "retrieve p50 ms": float(np.percentile(retrieval_ms, 50)),
        "retrieve p95 ms": float(np.percentile(retrieval_ms, 95)),
        "hit": float(np.mean(hits[_WARM_UP:])),
        "index recall": index_recall,
        "memory MB": resident,
        "mapped MB": mapped,
        "disk MB": disk / 1e6,
    }


async def _reopen(backend: str, turns: int, folder: Path) -> Memory:
    """Opens a memory that another process has filled, and reads its files into the kernel's cache."""
    memory = await _open_memory(backend, folder)
    files = [file for file in folder.iterdir() if file.is_file()]
    if not files:
        await _ingest_all(memory, turns)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.read(_READ):
                pass
            os.fsync(file.fileno())  # pages that are not yet on disk cannot be dropped
    await memory.ready()
    return memory


def _query(turn: int, turns: int) -> str:
    return f"When did Ann or Bob say {' '.join(_rare_words(turn, turns))} ?"


async def _look_up_seconds(memory: Memory, query: str) -> float:
    """Seconds of a look-up, without the text of the turns. That of `engram` includes embedding the question (20 µs)."""
    if isinstance(memory, ConditionalMemory):
        encoded = await memory.encode_query(query)
        started = perf_counter()
        memory.look_up(*encoded)
        return perf_counter() - started
    started = perf_counter()
    if isinstance(memory, Bm25Memory):
        assert memory._index is not None
        list(islice(best_first(memory._index.scores(content_stems(query))), EngramBackend().total))
    elif isinstance(memory, EngramMemory):
        assert memory._loaded is not None
        scores = await memory._loaded.ranker.scores(query)
        settings, counts = memory._settings, memory._loaded.counts
        merge(memory._loaded.stored.records, scores, k=settings.k, total=settings.total, counts=counts)
    return perf_counter() - started


def _buckets(memory: Memory) -> int:
    return memory._tables.buckets_read if isinstance(memory, ConditionalMemory) else 0


async def _growth_factor(smallest: Memory, memory: Memory, turns: int) -> float:
    """The median look-up divided by that of the smallest memory; the two are asked alternately."""
    generator = np.random.default_rng(3)
    times = [
        (
            await _look_up_seconds(memory, _query(int(generator.integers(turns)), turns)),
            await _look_up_seconds(smallest, _query(int(generator.integers(_SMALLEST)), _SMALLEST)),
        )
        for _ in range(_WARM_UP + _QUESTIONS)
    ]
    large, small = np.median(times[_WARM_UP:], axis=0)
    return float(large / small)


async def _cold_look_up(memory: Memory, query: str, folder: Path) -> float:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return await _look_up_seconds(memory, query)


def _index_recall(memory: Memory, vectors: Vectors) -> float:
    """Mean share of the _NEAREST stored vectors by exact product that the memory's indexes find."""
    shares = []
    for index in _indexes(memory):
        for vector in vectors:
            best = np.argsort(-(index.vectors @ vector), kind="stable")[:_NEAREST]
            near = index.index.search(vector[None], index.nearest)[1][0]
            shares.append(len(np.intersect1d(best, near)) / len(best))
    return float(np.mean(shares)) if shares else 1.0


def _indexes(memory: Memory) -> list[ApproximateSearch]:
    if not isinstance(memory, EngramMemory):
        return []
    assert memory._loaded is not None
    ranker = memory._loaded.ranker
    parts = ranker.search.parts if isinstance(ranker, DenseRanker) else [ranker.search]
    return [part for part in parts if isinstance(part, ApproximateSearch)]


def _process_mb(field: str) -> float:
    """A memory figure of this process in MB, from the Linux kernel."""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[field].split()[0]) / 1024


_STEPS = {"fill": fill_memory, "ask": measure_retrieval}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the look-up time as memory grows.")
    parser.add_argument(
        "--max", type=int, default=10**6, help="largest number of stored turns, a power of ten (default: %(default)s)"
    )
    parser.add_argument("--backend", action="append", choices=list(_BACKENDS), help="may be repeated (default: all)")
    parser.add_argument("--csv", type=Path, help="write the table to this file, row by row")
    parser.add_argument("--plot", type=Path, help="draw the plot as SVG in this file")
    parser.add_argument("--markdown", type=Path, help="write table, plot and crossing points to this file")
    parser.add_argument("--note", default="", help="a sentence for the page about how it was measured")
    parser.add_argument(
        "--from", dest="measured", type=Path, metavar="CSV", help="read this table instead of measuring"
    )
    parser.add_argument(
        "--folder", type=Path, help="folder for the temporary files of the memories (default: the system's)"
    )
    parser.add_argument("--step", nargs=3, metavar=("STEP", "BACKEND", "TURNS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, name, turns = arguments.step
        print(json.dumps(asyncio.run(_STEPS[step](name, int(turns), arguments.folder))))
        return
    _check_arguments(parser, arguments)
    if arguments.measured:
        with arguments.measured.open(newline="") as file:
            rows = [_parse_row(fields) for fields in csv.DictReader(file)]
    else:
        rows = list(_measure(arguments))
    rows.sort(key=lambda row: (list(_BACKENDS).index(row["backend"]), row["turns"]))
    print(*growth(rows), *crossings(rows), sep="\n")
    if arguments.plot:
        draw(rows, arguments.plot)
    if arguments.markdown:
        assert __doc__ is not None
        plot = arguments.plot.name if arguments.plot else None
        explanation = f"```text\n{__doc__[__doc__.index('Turns are generated') :]}```"
        command = "python benchmarks/perf/scaling.py --csv scaling.csv --plot scaling.svg --markdown scaling.md"
        arguments.markdown.write_text(page(rows, explanation, command, plot, arguments.note), encoding="utf-8")


def _check_arguments(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.max < _SMALLEST:
        parser.error(f"--max {arguments.max}: the smallest size is {_SMALLEST}; name at least that")
    if arguments.measured and not arguments.measured.is_file():
        parser.error(f"--from {arguments.measured}: no such file; name one that --csv wrote")
    for path in (arguments.csv, arguments.plot, arguments.markdown):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: the folder {path.parent} does not exist; create it first")


def _measure(arguments: argparse.Namespace) -> Iterator[Row]:
    """Measures the small sizes of all backends first, so that an interrupted run still compares them."""
    sizes = [10**n for n in range(3, 9) if 10**n <= arguments.max]
    cases = [(name, turns) for turns in sizes for name in arguments.backend or _BACKENDS if turns <= _BACKENDS[name][1]]
    with (arguments.csv or Path(os.devnull)).open("w", newline="") as file:
        for n, (name, turns) in enumerate(cases):
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                row = {"backend": name, "turns": turns}
                for step in ("fill", "ask"):
                    row |= _step(step, name, turns, folder)
            writer = csv.DictWriter(file, list(row))
            if n == 0:
                writer.writeheader()
                print(_format_row(row))
            writer.writerow(row)
            file.flush()
            print(_format_row(row.values()), flush=True)
            yield row


def _step(step: str, backend: str, turns: int, folder: str) -> Row:
    """Runs `fill_memory` or `measure_retrieval` in a process of its own."""
    command = [sys.executable, __file__, "--step", step, backend, str(turns), "--folder", folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment)
    answer: Row = json.loads(done.stdout)
    return answer


def _format_row(values: Iterable[str | float]) -> str:
    first, *rest = (cell(value) for value in values)
    return f"{first:24}" + "".join(f"{text:>15}" for text in rest)


def _parse_row(fields: dict[str, str]) -> Row:
    first = {"backend": fields["backend"], "turns": int(fields["turns"])}
    return first | {key: float(text) for key, text in fields.items() if key not in first}


if __name__ == "__main__":
    main()
