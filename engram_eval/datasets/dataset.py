"""Datasets: the benchmarks' conversations and questions, each read by its own file here.

A dataset is opened by a function `(data: Path | None, options: Mapping[str, Any]) -> Dataset`; the registry names them.
What is odd about a benchmark is repaired or kept by a rule stated in its file, and each use of a rule is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from engram_eval.errors import UserError
from engram_eval.types import Sample

Family = Literal["locomo", "longmemeval"]


@dataclass(slots=True)
class Notes:
    """What a loader met that was not as it should be: rule -> the places where it was applied."""

    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, rule: str, place: str) -> None:
        self.places.setdefault(rule, []).append(place)


@dataclass(frozen=True, slots=True)
class Dataset:
    """An opened dataset. `read` goes through the samples in file order, anew at each call, one at a time."""

    name: str
    origin: str
    """Where the data came from and why there, in words."""
    sha256: str
    """Of the data file; of the generator and its settings for data that is made."""
    categories: tuple[str, ...]
    """In the order of a table's columns."""
    headline: tuple[str, ...]
    """The categories that the headline accuracy is over; the others are reported apart."""
    read: Callable[[Notes], Iterator[Sample]]
    published_sha256: str | None = None
    """Of the published file, if it is known."""
    pinned: Callable[[dict[str, int], frozenset[str]], list[str]] = lambda _counts, _conversations: []
    """Differences from the published facts, given the number of questions of each category and the conversations' ids."""

    def samples(self, notes: Notes | None = None) -> Iterator[Sample]:
        return self.read(notes if notes is not None else Notes())


def refuse_options(name: str, options: Mapping[str, str]) -> None:
    """For datasets that are read and not made: they have no settings."""
    for key, value in options.items():
        raise UserError(f"--set dataset.{key}={value}: {name} is read from a file and has no settings; leave it out")
