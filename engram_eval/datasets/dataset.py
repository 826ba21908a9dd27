"""An opened dataset: a benchmark's conversations and questions, from one file or one generator.

Each loader repairs or keeps the oddities of its benchmark by a rule stated in its file, and notes each use of a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engram_eval.datasets.benchmark import Benchmark
from engram_eval.errors import UserError
from engram_eval.types import Sample, Session


@dataclass(slots=True)
class Notes:
    """The oddities that a loader met: rule -> the places where it was applied."""

    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, rule: str, place: str) -> None:
        self.places.setdefault(rule, []).append(place)


def _no_differences(_counts: Mapping[str, int], _conversations: frozenset[str]) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Dataset:
    """An opened dataset. `samples` reads it from the start at each call, in file order, one sample at a time."""

    benchmark: Benchmark
    origin: str
    """Where the data came from and why from there, in words."""
    sha256: str
    """Of the data file; for generated data, of the generator and its settings."""
    read: Callable[[Notes], Iterator[Sample]]
    published_sha256: str | None = None
    """Of the published file, if it is known."""
    differences: Callable[[Mapping[str, int], frozenset[str]], list[str]] = _no_differences
    """Differences from the published facts, given the number of questions of each category and the conversations' ids."""

    def samples(self, notes: Notes | None = None) -> Iterator[Sample]:
        return self.read(notes if notes is not None else Notes())


def refuse_options(name: str, options: Mapping[str, str]) -> None:
    """For datasets that are read from a file: they have no settings."""
    for key, value in options.items():
        raise UserError(f"--set dataset.{key}={value}: {name} is read from a file and has no settings; leave it out")


def in_time_order(sessions: Sequence[Session]) -> tuple[Session, ...]:
    """By date where there is one; an undated session stays behind the session before it."""
    latest, keyed = datetime.min, []
    for session in sessions:
        latest = session.started_at or latest
        keyed.append((latest, session))
    return tuple(session for _, session in sorted(keyed, key=lambda pair: pair[0]))
