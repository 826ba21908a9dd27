"""What a look-up costs as memory grows: `conditional`, BM25, and `engram` with exact and approximate search.

    python benchmarks/perf/scaling.py --csv scaling.csv --plot scaling.svg --markdown scaling.md
    python benchmarks/perf/scaling.py --max 10000000 --backend conditional
    python benchmarks/perf/scaling.py --from scaling.csv --plot scaling.svg --markdown scaling.md

Turns are made as they are stored: Zipf-distributed words, and in each turn a pair of rarer ones that no other turn holds, each
of which stands in as many turns as the root of all; a question asks for such a pair. `engram` makes one and a half typed
records of a turn. For each backend and size one process fills a memory, and another opens it and asks, as a resumed run does
(`bm25` keeps no files: the one that asks fills it again), with one thread for linear algebra and the memory's files read
once, so that the kernel holds their pages as it does those of a memory that was just written. Columns:

    look-up   p50 and p95 in ms of finding and scoring turns and choosing the best, nothing rendered; `bm25` chooses 60 as
              `engram` does, while its recall sorts all that share a word; `conditional` leaves its few candidates
              unsorted
    buckets   read in a look-up of `conditional`, on average: at most eight for each word, pair and triple of the question
    x         how many times the median look-up of a memory of 1,000 turns that is opened in the same process and asked in
    smallest  turn with it: a machine that is slower for a while is so for both
    cold      p50 in ms of a look-up before which the kernel was told to drop the pages of the memory's files: what is read
              comes from the disk. What a backend holds in memory, or mapped, stays
    recall    the same as look-up for the whole call: embedding, look-up, the turns' text and its tokens
    hit       share of questions whose turn stands in the context
    found     share of the 40 records nearest to the question's embedding that an index finds, mean over indexes; 1 where
              there is none
    ingest    turns a second, embedding and making ready included
    filling   resident MB of the process that filled the memory, at its highest, above what it had before
    memory    resident MB of the process that asked, after the questions, above what it had before it opened the memory
    mapped    of this, MB of pages of files, which the kernel takes back when it needs them
    disk      MB of the memory's files

`engram dense` ranks by embeddings alone (`ranker=dense`), as published; `engram` is the default, hybrid and `index=auto`.

Embeddings are made from the words' hashes, not by a model: the same cost for each backend, and small. A word's is the sum
of a direction that all share, one of 64 topics' and its own, of equal weight, for real embeddings are neither independent nor
evenly spread. Look-ups cost the same whatever the vectors are; `found` depends on them.
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

# Each with the most turns it is measured at. What `conditional` holds in memory hardly grows; of the others 10^7 turns take
# more than 20 GB: documents as lists of stems to make an index from, vectors, records as objects.
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
_COMMON_WORDS = 12  # a turn
_OPENINGS = ("I went there", "I like this", "I usually went there", "I like how it was")  # 3 records of `engram` a pair
_NEAREST = 40  # of which `found` is the share


@cache
def _word_rows() -> Vectors:
    own, topics, shared = (
        np.random.default_rng(seed).standard_normal((count, _DIMENSIONS), np.float32)
        for seed, count in enumerate((4096, 64, 1))
    )
    rows: Vectors = own + topics[np.arange(len(own)) % len(topics)] + shared
    return rows


class HashEmbedder:
    """The sum of one pseudo-random row a word, longer words weighing more: as fast as a table look-up."""

    name = "hash"
    dimensions = _DIMENSIONS

    def __init__(self) -> None:
        self._rows = _word_rows()

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


def _rare(turn: int, turns: int) -> tuple[str, str]:
    """Two words that stand together in this one of so many turns alone."""
    root = isqrt(turns - 1) + 1
    return _word(10**6 + turn // root), _word(2 * 10**6 + turn % root)


def sessions(turns: int) -> Iterator[Session]:
    """Sessions of a conversation of so many turns, one at a time; the same whenever it is asked for."""
    generator = np.random.default_rng(1)
    start = datetime(2020, 1, 1)
    for first in range(0, turns, _SESSION):
        ranks = generator.zipf(1.3, (min(_SESSION, turns - first), _COMMON_WORDS)) % 10**6
        said = []
        for i, row in enumerate(ranks.tolist()):
            words = [_word(rank) for rank in row]
            words[4:4] = _rare(first + i, turns)
            said.append(Turn(str(first + i), ("Ann", "Bob")[i % 2], " ".join([_OPENINGS[i % 4], *words])))
        yield Session(f"S{first}", start + timedelta(hours=first // _SESSION), tuple(said))


async def _opened(backend: str, folder: Path) -> Memory:
    folder.mkdir(exist_ok=True)
    services = Services(HashEmbedder(), token_counter(), folder)
    memory: Memory = await _BACKENDS[backend][0]().open(ConversationInfo("scaling", ("Ann", "Bob")), services)
    return memory


async def _fill(memory: Memory, turns: int) -> float:
    """The seconds that a memory took to ingest so many turns."""
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
    return perf_counter() - started - making


async def fill(backend: str, turns: int, folder: Path) -> dict[str, float]:
    """Fills `memory` and `smallest` in a folder."""
    smallest = await _opened(backend, folder / "smallest")
    await _fill(smallest, _SMALLEST)
    await smallest.close()
    before = _status_mb("VmRSS")
    memory = await _opened(backend, folder / "memory")
    seconds = await _fill(memory, turns)
    await memory.close()
    return {"ingest turns/s": turns / seconds, "filling MB": _status_mb("VmHWM") - before}


async def ask(backend: str, turns: int, folder: Path) -> dict[str, float]:
    """Opens what `fill` has filled."""
    token_counter().count("the encoding is read when it is first used")
    smallest = await _again(backend, _SMALLEST, folder / "smallest")
    before, mapped_before = _status_mb("VmRSS"), _status_mb("RssFile")
    memory = await _again(backend, turns, folder / "memory")
    asked = np.random.default_rng(2).integers(0, turns, _WARM_UP + _QUESTIONS).tolist()
    look_ups, recalls, hits, buckets = [], [], [], []
    for turn in asked:
        query = _query(turn, turns)
        read = _buckets(memory)
        look_ups.append(await _timed(memory, query))
        buckets.append(_buckets(memory) - read)
        called = perf_counter()
        context = await memory.retrieve(query, asked_at=None, budget=_BUDGET)
        recalls.append(perf_counter() - called)
        hits.append(any(str(turn) in item.turn_ids for item in context.items))
    resident, mapped = _status_mb("VmRSS") - before, _status_mb("RssFile") - mapped_before
    grown = await _against(smallest, memory, turns)
    cold = [await _cold(memory, _query(turn, turns), folder / "memory") for turn in asked[-_COLD:]]
    without_names = [f"When did say {' '.join(_rare(turn, turns))}" for turn in asked[:20]]  # as the rankers embed them
    found = _found(memory, await HashEmbedder().embed(without_names))
    disk = sum(file.stat().st_blocks * 512 for file in (folder / "memory").iterdir())
    await smallest.close()
    await memory.close()
    look_up_ms, recall_ms = (1000 * np.array(times[_WARM_UP:]) for times in (look_ups, recalls))
    return {
        "look-up p50 ms": float(np.percentile(look_up_ms, 50)),
        "look-up p95 ms": float(np.percentile(look_up_ms, 95)),
        "x smallest": grown,
        "buckets": float(np.mean(buckets)),
        "cold p50 ms": 1000 * float(np.median(cold)),
        "recall p50 ms": float(np.percentile(recall_ms, 50)),
        "recall p95 ms": float(np.percentile(recall_ms, 95)),
        "hit": float(np.mean(hits[_WARM_UP:])),
        "found": found,
        "memory MB": resident,
        "mapped MB": mapped,
        "disk MB": disk / 1e6,
    }


async def _again(backend: str, turns: int, folder: Path) -> Memory:
    """A memory that another process has filled, its files in the kernel's cache."""
    memory = await _opened(backend, folder)
    files = [file for file in folder.iterdir() if file.is_file()]
    if not files:
        await _fill(memory, turns)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.read(_READ):
                pass
            os.fsync(file.fileno())  # what is not yet on disk cannot be dropped
    await memory.ready()
    return memory


def _query(turn: int, turns: int) -> str:
    return f"When did Ann or Bob say {' '.join(_rare(turn, turns))} ?"


async def _timed(memory: Memory, query: str) -> float:
    """Seconds of a look-up: what lies between the question and the turns' text. `engram`'s embeds the question (20 µs)."""
    if isinstance(memory, ConditionalMemory):
        asked = await memory.encode_query(query)
        called = perf_counter()
        memory.look_up(*asked)
        return perf_counter() - called
    called = perf_counter()
    if isinstance(memory, Bm25Memory):
        assert memory._index is not None
        list(islice(best_first(memory._index.scores(content_stems(query))), EngramBackend().total))
    elif isinstance(memory, EngramMemory):
        assert memory._loaded is not None
        scores = await memory._loaded.ranker.scores(query)
        of, counts = memory._settings, memory._loaded.counts
        merge(memory._loaded.stored.records, scores, k=of.k, total=of.total, counts=counts)
    return perf_counter() - called


def _buckets(memory: Memory) -> int:
    return memory._tables.buckets_read if isinstance(memory, ConditionalMemory) else 0


async def _against(smallest: Memory, memory: Memory, turns: int) -> float:
    """The median look-up, by that of the smallest memory, which is asked in turn with it."""
    generator = np.random.default_rng(3)
    times = [
        (
            await _timed(memory, _query(int(generator.integers(turns)), turns)),
            await _timed(smallest, _query(int(generator.integers(_SMALLEST)), _SMALLEST)),
        )
        for _ in range(_WARM_UP + _QUESTIONS)
    ]
    large, small = np.median(times[_WARM_UP:], axis=0)
    return float(large / small)


async def _cold(memory: Memory, query: str, folder: Path) -> float:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return await _timed(memory, query)


def _found(memory: Memory, vectors: Vectors) -> float:
    """Mean share of the _NEAREST stored vectors that the memory's index finds, against the exact product."""
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


def _status_mb(field: str) -> float:
    """Of this process, by the kernel. (Linux.)"""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[field].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="What a look-up costs as memory grows.")
    parser.add_argument(
        "--max", type=int, default=10**6, help="stored turns go up to here by tens (default: %(default)s)"
    )
    parser.add_argument("--backend", action="append", choices=list(_BACKENDS), help="may be repeated (default: all)")
    parser.add_argument("--csv", type=Path, help="write the table there, row by row")
    parser.add_argument("--plot", type=Path, help="draw it there, as SVG")
    parser.add_argument("--markdown", type=Path, help="write table, plot and crossing points there")
    parser.add_argument("--note", default="", help="a sentence for the page on how it was measured")
    parser.add_argument("--from", dest="measured", type=Path, metavar="CSV", help="measure nothing: read this table")
    parser.add_argument("--folder", type=Path, help="where the memories' files go for the time (default: the system's)")
    parser.add_argument("--step", nargs=3, metavar=("STEP", "BACKEND", "TURNS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, name, turns = arguments.step
        print(json.dumps(asyncio.run({"fill": fill, "ask": ask}[step](name, int(turns), arguments.folder))))
        return
    if arguments.max < _SMALLEST:
        parser.error(f"--max {arguments.max}: nothing is measured below {_SMALLEST}")
    if arguments.measured and not arguments.measured.is_file():
        parser.error(f"--from {arguments.measured}: there is no such file; name one that --csv wrote")
    for path in (arguments.csv, arguments.plot, arguments.markdown):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}; make it first")
    if arguments.measured:
        with arguments.measured.open(newline="") as file:
            rows = [_row(texts) for texts in csv.DictReader(file)]
    else:
        rows = list(_measured(arguments))
    rows.sort(key=lambda row: (list(_BACKENDS).index(row["backend"]), row["turns"]))
    print(*growth(rows), *crossings(rows), sep="\n")
    if arguments.plot:
        draw(rows, arguments.plot)
    if arguments.markdown:
        assert __doc__ is not None
        plot = arguments.plot.name if arguments.plot else None
        explanation = f"```text\n{__doc__.partition('Turns are made')[1]}{__doc__.partition('Turns are made')[2]}```"
        command = "python benchmarks/perf/scaling.py --csv scaling.csv --plot scaling.svg --markdown scaling.md"
        arguments.markdown.write_text(page(rows, explanation, command, plot, arguments.note), encoding="utf-8")


def _measured(arguments: argparse.Namespace) -> Iterator[Row]:
    """The smallest size of every backend first, so that a run that is cut short has all that it had time for."""
    sizes = [10**n for n in range(3, 9) if 10**n <= arguments.max]
    todo = [(name, turns) for turns in sizes for name in arguments.backend or _BACKENDS if turns <= _BACKENDS[name][1]]
    with (arguments.csv or Path(os.devnull)).open("w", newline="") as file:
        for n, (name, turns) in enumerate(todo):
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                row = {"backend": name, "turns": turns}
                for step in ("fill", "ask"):
                    row |= _step(step, name, turns, folder)
            writer = csv.DictWriter(file, list(row))
            if n == 0:
                writer.writeheader()
                print(_line(row))
            writer.writerow(row)
            file.flush()
            print(_line(row.values()), flush=True)
            yield row


def _step(step: str, backend: str, turns: int, folder: str) -> Row:
    """`fill` or `ask` in a process of its own."""
    command = [sys.executable, __file__, "--step", step, backend, str(turns), "--folder", folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment)
    answer: Row = json.loads(done.stdout)
    return answer


def _line(values: Iterable[str | float]) -> str:
    first, *rest = (cell(value) for value in values)
    return f"{first:24}" + "".join(f"{text:>15}" for text in rest)


def _row(texts: dict[str, str]) -> Row:
    first = {"backend": texts["backend"], "turns": int(texts["turns"])}
    return first | {key: float(text) for key, text in texts.items() if key not in first}


if __name__ == "__main__":
    main()
