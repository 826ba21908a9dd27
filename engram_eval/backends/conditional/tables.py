"""The tables: for each order and head a range of buckets, each a ring of turn numbers, in one memory-mapped file.

    header (one block) | buckets of order 1 | of order 2 | of order 3

A bucket is a row of 32-bit words: its checksum, how often it was written to, then turn numbers plus one. 0 is an empty place,
but a bucket of only zeros is damaged. A full bucket drops its oldest turn. No bucket crosses a block boundary. The smallest
count over an N-gram's heads is an upper bound on the number of turns that contain it, dropped ones included (a count-min
sketch: Cormode & Muthukrishnan 2005).

The header is `open` on disk before a bucket is written, and `closed` after everything has reached the disk. So a file that
was being written when its process or machine died is detected when it is opened, and a damaged bucket whenever it is read.
Everything in the tables can be rebuilt from the turns. Nothing that grows with them is kept in the process's memory.

Writing uses the memory map, one head at a time. A look-up reads its buckets with one call each instead: they are in as many
different pages, and mapping a page for the first time takes longer than copying a bucket.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isqrt
from pathlib import Path

import numpy as np

from engram_eval.backends.conditional.addressing import ORDERS, Ids, contained, multipliers, ngrams, primes_above
from engram_eval.backends.conditional.checksums import DamagedFileError, Words, checksums

BLOCK = 4096  # bytes: a page
WIDTHS = (64, 16, 8)  # 32-bit words of a bucket, by order: single words are in more turns than pairs and triples
HEAD = 2  # words of a bucket before its turns: checksum and count
SMALLEST = 1 << 14  # room of the smallest tables, in content words
GROWTH = 4

_MAGIC = b"engramCM"
_FORMAT = 3
# magic, format, closed, seed, room, words, turns, bytes of the file; the header's CRC follows
_HEADER = struct.Struct("<8sIIQQQQQ")
# Content words whose N-grams are written together. More of them share more pages, but take more memory.
_WORDS_A_WRITE = 1 << 20
_BUCKETS_AT_A_TIME = 1 << 16  # of a write, for the same reason
_TURN = (1 << 32) - 1


class DamagedTablesError(DamagedFileError):
    """The tables' file is not what was last written. The message says why."""


@dataclass(frozen=True, slots=True)
class Matches:
    """What a look-up found for one order: (N-gram, turn) pairs, and how many turns contain each N-gram."""

    ngrams: Ids
    """The N-gram of each pair, as an index into `counts`."""
    turns: Ids
    """The turn number of each pair."""
    counts: Ids
    """For each N-gram of the query the number of turns that contain it: exact or too high, never too low."""


@dataclass(frozen=True, slots=True)
class _Section:
    """The buckets of one order: the rows of all its heads, one head after the other."""

    primes: Ids
    """For each head its number of rows."""
    starts: Ids
    """For each head its first row."""
    rows: Words
    offset: int
    """Of the first row in the file, in bytes."""

    def at(self, mixes: Ids) -> Ids:
        """The rows of N-grams, shape (N-grams, heads)."""
        rows: Ids = mixes[:, None] % self.primes + self.starts
        return rows

    def mapped(self, rows: Ids) -> Words:
        """The buckets in these rows, from the memory map. Raises DamagedTablesError if one is damaged."""
        return _checked(self.rows[rows])

    def read(self, rows: Ids, file: int) -> Words:
        """The same, with one read call for each."""
        size = self.rows.shape[1] * 4
        offsets = (self.offset + rows.ravel() * size).tolist()
        data = b"".join([os.pread(file, size, offset) for offset in offsets])
        if len(data) != size * len(offsets):
            raise DamagedTablesError("the file is too short")
        return _checked(np.frombuffer(data, np.uint32).reshape(*rows.shape, self.rows.shape[1]))


class Tables:
    """Opens the file, or creates an empty one with room for `room` content words.

    Raises DamagedTablesError if the file exists and is damaged, or has another seed or format. `buckets_read` counts the
    buckets that look-ups have read, for the scaling benchmark.
    """

    def __init__(self, path: Path, *, seed: int, room: int = SMALLEST) -> None:
        self._seed = seed
        self._odd = multipliers(seed)
        exists = path.exists()
        if exists:
            self.room, self.words, self.turns = _parsed_header(_first_block(path), seed, path.stat().st_size)
        else:
            self.room, self.words, self.turns = room, 0, 0
        # The vocabulary grows about as the square root of a text (Heaps' law), distinct pairs and triples as the text.
        primes = primes_above((16 * isqrt(self.room), self.room // 8, self.room // 4))
        sizes = [-(-sum(heads) * width * 4 // BLOCK) * BLOCK for heads, width in zip(primes, WIDTHS, strict=True)]
        self._bytes = BLOCK + sum(sizes)
        if exists and path.stat().st_size != self._bytes:
            raise DamagedTablesError("the file's length differs from its header")
        if not exists:
            _create(path, primes, sizes)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self._bytes)
        self._file = os.open(path, os.O_RDONLY)
        self._map.madvise(mmap.MADV_RANDOM)
        self._sections = []
        offset = BLOCK
        for heads, width, size in zip(primes, WIDTHS, sizes, strict=True):
            rows = np.frombuffer(self._map, np.uint32, sum(heads) * width, offset).reshape(-1, width)
            self._sections.append(_Section(np.array(heads, np.int64), np.cumsum([0, *heads[:-1]]), rows, offset))
            offset += size
        self._closed = True
        self._unwritten: list[Sequence[int]] = []
        self._unwritten_words = 0
        self._written_turns = self.turns
        self.buckets_read = 0
        if not exists:
            self._write_header(closed=True)

    @property
    def full(self) -> bool:
        """Whether the room is used up. Full tables still work, but drop more turns."""
        return self.words >= self.room

    def add(self, texts: Sequence[Sequence[int]]) -> None:
        """Appends turns, each a list of its content words' numbers. The first one gets turn number `turns`.

        They are written in large groups, and the rest by `flush`. Raises DamagedTablesError if a bucket to be written to is
        damaged; the file must then be rebuilt.
        """
        for text in texts:
            self._unwritten.append(text)
            self._unwritten_words += len(text)
            if self._unwritten_words >= _WORDS_A_WRITE:
                self._write()
        self.turns += len(texts)
        self.words += sum(map(len, texts))

    def _write(self) -> None:
        if (
            os.fstat(self._file).st_size < self._bytes
        ):  # writing to the map behind the file's end would kill the process
            raise DamagedTablesError("the file is too short")
        if self._closed:
            self._write_header(closed=False)
        for section, (mixes, owners) in zip(self._sections, ngrams(self._unwritten, self._odd), strict=True):
            for rows in section.at(mixes).T:
                self._write_head(section, rows, self._written_turns + owners)
                self._map.madvise(mmap.MADV_DONTNEED)  # frees the pages; their content stays in the file
        self._written_turns += len(self._unwritten)
        self._unwritten, self._unwritten_words = [], 0

    def _write_head(self, section: _Section, rows: Ids, turns: Ids) -> None:
        order = np.argsort(rows, kind="stable")  # stable: the turns of a bucket keep their order
        rows, turns = rows[order], turns[order]
        firsts = np.flatnonzero(np.diff(rows, prepend=-1))
        for starts, first, last in _in_groups(firsts, len(rows)):
            buckets = section.mapped(rows[starts])
            counts = np.diff(starts, append=last)
            before = buckets[:, 1].astype(np.int64)
            bucket = np.repeat(np.arange(len(starts)), counts)
            nth = np.arange(first, last) - np.repeat(starts, counts) + np.repeat(before, counts)
            # If one write goes around a ring more than once, the assignment keeps the last turn, which is the newest.
            buckets[bucket, HEAD + nth % (buckets.shape[1] - HEAD)] = turns[first:last] + 1
            buckets[:, 1] = before + counts
            buckets[:, 0] = checksums(buckets[:, 1:])
            section.rows[rows[starts]] = buckets

    def find(self, text: Sequence[int], *, agreement: int, orders: int = len(ORDERS)) -> list[Matches]:
        """For each order up to `orders` the turns that at least `agreement` heads of an N-gram of `text` name.

        A turn that contains an N-gram also contains the shorter ones within it, and matches them even if their buckets have
        dropped it. An N-gram is not looked up if no turn contains one of the shorter ones. Reads at most N-grams x heads
        buckets, whatever is stored. Raises DamagedTablesError if one of them is damaged.
        """
        self.flush()
        counts: list[Ids] = []
        pairs: list[Ids] = []
        within: list[list[Ids]] = [[]]
        by_order = zip(ORDERS, self._sections, ngrams([text], self._odd), strict=True)
        for order, section, (mixes, _) in islice(by_order, orders):
            looked_up = np.arange(len(mixes))
            if order > 1:
                within.append(contained(text, self._odd, order))
                looked_up = np.flatnonzero(np.all([counts[-1][shorter] > 0 for shorter in within[-1]], axis=0))
            buckets = section.read(section.at(mixes[looked_up]), self._file)
            self.buckets_read += buckets.shape[0] * buckets.shape[1]
            smallest = np.zeros(len(mixes), np.int64)
            smallest[looked_up] = buckets[:, :, 1].min(axis=1)
            counts.append(smallest)
            pairs.append(_agreed(buckets, looked_up, agreement))
        for longer in range(orders - 1, 0, -1):
            if len(pairs[longer]):
                grams, turns = pairs[longer] >> 32, pairs[longer] & _TURN
                implied = [(shorter[grams] << 32) + turns for shorter in within[longer]]
                pairs[longer - 1] = _distinct(np.concatenate([pairs[longer - 1], *implied]))
        return [
            Matches(order_pairs >> 32, order_pairs & _TURN, order_counts)
            for order_pairs, order_counts in zip(pairs, counts, strict=True)
        ]

    def flush(self) -> None:
        """Returns when all turns are on disk and the file is marked as closed. Raises DamagedTablesError, as `add` does."""
        if self._unwritten:
            self._write()
        if not self._closed:
            self._map.flush()
            self._write_header(closed=True)

    def close(self) -> None:
        self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Closes the file as it is. It is unmapped when the last view of it is gone, which a traceback may still hold."""
        os.close(self._file)
        del self._sections, self._map

    def _write_header(self, *, closed: bool) -> None:
        header = _HEADER.pack(_MAGIC, _FORMAT, closed, self._seed, self.room, self.words, self.turns, self._bytes)
        self._map[: _HEADER.size + 4] = header + struct.pack("<I", zlib.crc32(header))
        self._map.flush(0, BLOCK)
        self._closed = closed


def _create(path: Path, primes: Sequence[Sequence[int]], sizes: Sequence[int]) -> None:
    """Writes empty buckets. If the disk is full, this raises; writing to a map without disk space would kill the process."""
    try:
        with path.open("wb") as file:
            file.write(bytes(BLOCK))
            for heads, width, size in zip(primes, WIDTHS, sizes, strict=True):
                empty = np.zeros(width, np.uint32)
                empty[0] = checksums(empty[1:])
                chunk = np.tile(empty, min(sum(heads), _BUCKETS_AT_A_TIME)).tobytes()
                remaining = sum(heads) * width * 4
                while remaining:
                    remaining -= file.write(memoryview(chunk)[:remaining])
                file.write(bytes(size - sum(heads) * width * 4))
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _checked(buckets: Words) -> Words:
    if (checksums(buckets[..., 1:]) != buckets[..., 0]).any():
        raise DamagedTablesError("a bucket is damaged")
    return buckets


def _agreed(buckets: Words, looked_up: Ids, agreement: int) -> Ids:
    """Distinct (N-gram, turn) pairs on which enough heads agree, each as N-gram << 32 | turn, ascending.

    `buckets` has shape (N-grams looked up, heads, words); `looked_up` are the N-grams' indices.
    """
    gram, head, place = np.nonzero(buckets[:, :, HEAD:])
    turns = buckets[gram, head, place + HEAD].astype(np.int64) - 1
    pairs = _distinct((looked_up[gram] << 40) + (turns << 8) + head) >> 8  # a head that names a turn twice has one vote
    firsts = np.flatnonzero(np.diff(pairs, prepend=-1))
    votes = np.diff(firsts, append=len(pairs))
    return pairs[firsts[votes >= agreement]]


def _distinct(values: Ids) -> Ids:
    """Non-negative values, sorted, each once: `np.unique` without its hashing, which costs more than the sort."""
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _in_groups(firsts: Ids, end: int) -> Iterator[tuple[Ids, int, int]]:
    """Groups of runs in a sorted list of length `end`: the runs' starts, and where the group begins and ends in the list."""
    for i in range(0, len(firsts), _BUCKETS_AT_A_TIME):
        starts = firsts[i : i + _BUCKETS_AT_A_TIME]
        following = i + _BUCKETS_AT_A_TIME
        yield starts, int(starts[0]), int(firsts[following]) if following < len(firsts) else end


def _first_block(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BLOCK)


def _parsed_header(header: bytes, seed: int, size: int) -> tuple[int, int, int]:
    """Room, words and turns of a file of `size` bytes."""
    if len(header) < BLOCK:
        raise DamagedTablesError("the file is too short")
    magic, file_format, closed, file_seed, room, words, turns, file_size = _HEADER.unpack_from(header)
    (checksum,) = struct.unpack_from("<I", header, _HEADER.size)
    if magic != _MAGIC or zlib.crc32(header[: _HEADER.size]) != checksum:
        raise DamagedTablesError("the file's header is damaged")
    if (file_format, file_seed) != (_FORMAT, seed):
        raise DamagedTablesError("the file has another format or seed")
    if file_size != size:
        raise DamagedTablesError("the file's length differs from its header")
    if not closed:
        raise DamagedTablesError("the file was not closed")
    return room, words, turns
