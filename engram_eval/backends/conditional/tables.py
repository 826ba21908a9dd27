"""The tables: for each order and head a run of buckets, each a ring of turn numbers, in one memory-mapped file.

    header (one block) | buckets of order 1 | of order 2 | of order 3

A bucket is a row of 32-bit words: its checksum, how often it was written to, then turn numbers plus one; 0 is an empty
place, but a bucket of zeros alone is damaged. When it is full the oldest goes out. Buckets never lie across two blocks. The
smallest count over an N-gram's heads bounds in how many turns it was said (a count-min sketch: Cormode & Muthukrishnan 2005),
evicted ones included.

The header says `open` on disk before a bucket is written and `closed` after all of it has reached the disk: a file that was
being written when its process or machine died is found when it is opened, a damaged bucket whenever it is read. Tables
hold nothing that cannot be made again from the turns, and nothing that grows with them is held in memory.

The file is mapped to be written to, a head at a time; a look-up reads its buckets one by one instead: they lie in as many
pages, and a page takes longer to be mapped for the first time than a bucket to be copied.
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
from engram_eval.backends.conditional.checksums import TornFileError, Words, checksums

BLOCK = 4096  # bytes: a page
WIDTHS = (64, 16, 8)  # 32-bit words of a bucket of each order: a word is said in more turns than a pair or a triple
HEAD = 2  # words of a bucket before its turns: checksum and count
SMALLEST = 1 << 14  # content words that the smallest tables have room for
GROWTH = 4

_MAGIC = b"engramCM"
_FORMAT = 3
_HEADER = struct.Struct(
    "<8sIIQQQQQ"
)  # magic, format, closed, seed, room, words, turns, bytes of the file; then its CRC
# Content words whose N-grams are written at a time: the more, the more of them share a page; it bounds memory, too.
_WORDS_A_WRITE = 1 << 20
_BUCKETS_AT_A_TIME = 1 << 16  # of a write, likewise
_TURN = (1 << 32) - 1


class TornTableError(TornFileError):
    """The tables' file is not what was last written."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one order's look-up found: (N-gram, turn) pairs, and in how many turns each N-gram was said.

    `grams` are indices into `said`, `turns` turn numbers, both of one length. `said` is exact or too high, never too low.
    """

    grams: Ids
    turns: Ids
    said: Ids


@dataclass(frozen=True, slots=True)
class _Section:
    """The buckets of one order: rows of all its heads, one head after the other."""

    primes: Ids
    starts: Ids
    rows: Words
    start: int
    """Of the rows in the file."""

    def at(self, mixes: Ids) -> Ids:
        """Rows for N-grams, shape (N-grams, heads)."""
        rows: Ids = mixes[:, None] % self.primes + self.starts
        return rows

    def mapped(self, rows: Ids) -> Words:
        """The buckets of rows. Raises TornTableError if one is damaged."""
        return _whole(self.rows[rows])

    def read(self, rows: Ids, file: int) -> Words:
        """The same, by a call for each."""
        size = self.rows.shape[1] * 4
        offsets = (self.start + rows.ravel() * size).tolist()
        data = b"".join([os.pread(file, size, offset) for offset in offsets])
        if len(data) != size * len(offsets):
            raise TornTableError("it is cut short")
        return _whole(np.frombuffer(data, np.uint32).reshape(*rows.shape, self.rows.shape[1]))


class Tables:
    """Opens the file, or makes an empty one with room for `room` content words.

    Raises TornTableError if the file is there and is not whole, or is of another seed or format. `buckets_read` counts
    what look-ups have read, for the scaling bench.
    """

    def __init__(self, path: Path, *, seed: int, room: int = SMALLEST) -> None:
        self._seed = seed
        self._odd = multipliers(seed)
        exists = path.exists()
        if exists:
            self.room, self.words, self.turns = _checked(_first_block(path), seed, path.stat().st_size)
        else:
            self.room, self.words, self.turns = room, 0, 0
        # A vocabulary grows about as the square root of a text (Heaps' law); distinct pairs and triples as the text.
        least = (16 * isqrt(self.room), self.room // 8, self.room // 4)
        primes = primes_above(least)
        sizes = [-(-sum(heads) * width * 4 // BLOCK) * BLOCK for heads, width in zip(primes, WIDTHS, strict=True)]
        self._bytes = BLOCK + sum(sizes)
        if exists and path.stat().st_size != self._bytes:
            raise TornTableError("its length is not what its header says")
        if not exists:
            _make(path, primes, sizes)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self._bytes)
        self._file = os.open(path, os.O_RDONLY)
        self._map.madvise(mmap.MADV_RANDOM)
        self._sections = []
        start = BLOCK
        for heads, width, size in zip(primes, WIDTHS, sizes, strict=True):
            rows = np.frombuffer(self._map, np.uint32, sum(heads) * width, start).reshape(-1, width)
            self._sections.append(_Section(np.array(heads, np.int64), np.cumsum([0, *heads[:-1]]), rows, start))
            start += size
        self._closed = True
        self._waiting: list[Sequence[int]] = []
        self._waiting_words = 0
        self._written_turns = self.turns
        self.buckets_read = 0
        if not exists:
            self._mark(closed=True)

    @property
    def full(self) -> bool:
        return self.words >= self.room

    def add(self, texts: Sequence[Sequence[int]]) -> None:
        """Appends turns, each the numbers of its content words; the first is turn number `turns`.

        They are written some at a time, the last of them by `flush`. Raises TornTableError if a bucket that would be written
        to is damaged; the file must then be made again.
        """
        for text in texts:
            self._waiting.append(text)
            self._waiting_words += len(text)
            if self._waiting_words >= _WORDS_A_WRITE:
                self._write()
        self.turns += len(texts)
        self.words += sum(map(len, texts))

    def _write(self) -> None:
        if os.fstat(self._file).st_size < self._bytes:  # what is mapped behind the end kills who writes there
            raise TornTableError("it is cut short")
        if self._closed:
            self._mark(closed=False)
        for section, (mixes, owners) in zip(self._sections, ngrams(self._waiting, self._odd), strict=True):
            for rows in section.at(mixes).T:
                self._write_head(section, rows, self._written_turns + owners)
                self._map.madvise(mmap.MADV_DONTNEED)  # lets go of the pages: they stay in the file
        self._written_turns += len(self._waiting)
        self._waiting, self._waiting_words = [], 0

    def _write_head(self, section: _Section, rows: Ids, turns: Ids) -> None:
        order = np.argsort(rows, kind="stable")  # turns of a bucket stay in their order
        rows, turns = rows[order], turns[order]
        firsts = np.flatnonzero(np.diff(rows, prepend=-1))
        for these, first, last in _some_at_a_time(firsts, len(rows)):
            buckets = section.mapped(rows[these])
            counts = np.diff(these, append=last)
            before = buckets[:, 1].astype(np.int64)
            bucket = np.repeat(np.arange(len(these)), counts)
            nth = np.arange(first, last) - np.repeat(these, counts) + np.repeat(before, counts)
            # Where a bucket is lapped within one write, assignment keeps the last: the newest turn.
            buckets[bucket, HEAD + nth % (buckets.shape[1] - HEAD)] = turns[first:last] + 1
            buckets[:, 1] = before + counts
            buckets[:, 0] = checksums(buckets[:, 1:])
            section.rows[rows[these]] = buckets

    def find(self, text: Sequence[int], *, agreement: int, orders: int = len(ORDERS)) -> list[Found]:
        """For each order up to `orders` the turns that at least `agreement` heads of an N-gram of `text` name.

        A turn that an N-gram names has said the shorter ones within it too, whether their buckets have kept it or not; and one
        whose shorter ones nobody has said is not looked for. Reads N-grams x heads buckets at most, whatever is stored.
        Raises TornTableError if one of them is damaged.
        """
        self.flush()
        said: list[Ids] = []
        named: list[Ids] = []
        within: list[list[Ids]] = [[]]
        by_order = zip(ORDERS, self._sections, ngrams([text], self._odd), strict=True)
        for order, section, (mixes, _) in islice(by_order, orders):
            looked_for = np.arange(len(mixes))
            if order > 1:
                within.append(contained(text, self._odd, order))
                looked_for = np.flatnonzero(np.all([said[-1][shorter] > 0 for shorter in within[-1]], axis=0))
            buckets = section.read(section.at(mixes[looked_for]), self._file)
            self.buckets_read += buckets.shape[0] * buckets.shape[1]
            counts = np.zeros(len(mixes), np.int64)
            counts[looked_for] = buckets[:, :, 1].min(axis=1)
            gram, head, place = np.nonzero(buckets[:, :, HEAD:])
            turns = buckets[gram, head, place + HEAD].astype(np.int64) - 1
            # A head that names a turn twice has one voice.
            pairs = _distinct((looked_for[gram] << 40) + (turns << 8) + head) >> 8
            firsts = np.flatnonzero(np.diff(pairs, prepend=-1))
            voices = np.diff(firsts, append=len(pairs))
            said.append(counts)
            named.append(pairs[firsts[voices >= agreement]])
        for longer in range(orders - 1, 0, -1):
            if len(named[longer]):
                grams, turns = named[longer] >> 32, named[longer] & _TURN
                implied = [(shorter[grams] << 32) + turns for shorter in within[longer]]
                named[longer - 1] = _distinct(np.concatenate([named[longer - 1], *implied]))
        return [Found(pairs >> 32, pairs & _TURN, counts) for pairs, counts in zip(named, said, strict=True)]

    def flush(self) -> None:
        """Returns when all that was added is on disk and the file is marked as closed. Raises TornTableError as `add` does."""
        if self._waiting:
            self._write()
        if not self._closed:
            self._map.flush()
            self._mark(closed=True)

    def close(self) -> None:
        self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Lets go of the file as it is. It is unmapped with the last view of it, which a traceback may still hold."""
        os.close(self._file)
        del self._sections, self._map

    def _mark(self, *, closed: bool) -> None:
        header = _HEADER.pack(_MAGIC, _FORMAT, closed, self._seed, self.room, self.words, self.turns, self._bytes)
        self._map[: _HEADER.size + 4] = header + struct.pack("<I", zlib.crc32(header))
        self._map.flush(0, BLOCK)
        self._closed = closed


def _make(path: Path, primes: Sequence[Sequence[int]], sizes: Sequence[int]) -> None:
    """Empty buckets, written out: a disk that is full refuses here, and not by a signal when the mapped file is written to."""
    try:
        with path.open("wb") as file:
            file.write(bytes(BLOCK))
            for heads, width, size in zip(primes, WIDTHS, sizes, strict=True):
                empty = np.zeros(width, np.uint32)
                empty[0] = checksums(empty[1:])
                some = np.tile(empty, min(sum(heads), _BUCKETS_AT_A_TIME)).tobytes()
                left = sum(heads) * width * 4
                while left:
                    left -= file.write(memoryview(some)[:left])
                file.write(bytes(size - sum(heads) * width * 4))
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _whole(buckets: Words) -> Words:
    if (checksums(buckets[..., 1:]) != buckets[..., 0]).any():
        raise TornTableError("a bucket is damaged")
    return buckets


def _distinct(values: Ids) -> Ids:
    """Of values that are not negative, ascending: `np.unique` without its hashing, which costs more than the sort."""
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _some_at_a_time(firsts: Ids, end: int) -> Iterator[tuple[Ids, int, int]]:
    """Runs of a sorted list by the indices at which they start, with the slice of the list that they are."""
    for i in range(0, len(firsts), _BUCKETS_AT_A_TIME):
        these = firsts[i : i + _BUCKETS_AT_A_TIME]
        after = i + _BUCKETS_AT_A_TIME
        yield these, int(these[0]), int(firsts[after]) if after < len(firsts) else end


def _first_block(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BLOCK)


def _checked(header: bytes, seed: int, size: int) -> tuple[int, int, int]:
    """Room, words and turns of a file by its header."""
    if len(header) < BLOCK:
        raise TornTableError("it is cut short")
    magic, form, closed, its_seed, room, words, turns, its_size = _HEADER.unpack_from(header)
    (checksum,) = struct.unpack_from("<I", header, _HEADER.size)
    if magic != _MAGIC or zlib.crc32(header[: _HEADER.size]) != checksum:
        raise TornTableError("its header is damaged")
    if (form, its_seed) != (_FORMAT, seed):
        raise TornTableError("it is of another format or seed")
    if its_size != size:
        raise TornTableError("its length is not what its header says")
    if not closed:
        raise TornTableError("it was not closed")
    return room, words, turns
