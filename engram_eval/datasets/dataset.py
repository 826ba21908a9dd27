"""An opened dataset: a benchmark's conversations and questions, from one file or one generator.

Each loader repairs or keeps the oddities of its benchmark by a rule stated in its file, and notes each use of a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engram_eval.datasets.benchmark import Benchmark
from engram_eval.errors import UserError
from engram_eval.tables.text import plural
from engram_eval.types import Question, Sample, Session


@dataclass(slots=True)
class Notes:
    """The oddities that a loader met: rule -> the places where it was applied.

    `doubtful`: the rules that lose something, or keep something that is probably a mistake of the data. `faults`: of the
    records that were left out, which happens only if `skip_bad_records`.
    """

    places: dict[str, list[str]] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    skip_bad_records: bool = False
    faults: list[UserError] = field(default_factory=list)

    def add(self, rule: str, place: str) -> None:
        """An oddity that the rule repairs or keeps without a loss."""
        self.places.setdefault(rule, []).append(place)

    def doubt(self, rule: str, place: str) -> None:
        """An oddity that costs data, or that a person should look at."""
        self.doubtful.add(rule)
        self.add(rule, place)

    def bad_record(self, fault: UserError) -> None:
        """A record, such as a conversation or a question, that cannot be read. Raises the fault, unless such are skipped."""
        if not self.skip_bad_records:
            raise fault
        self.faults.append(fault)

    def in_one_line(self) -> str:
        """The doubtful oddities by rule, the most frequent first, and how many kinds of others there are."""
        ordered = sorted(self.doubtful, key=lambda rule: (-len(self.places[rule]), rule))
        parts = [f"{rule} ({len(self.places[rule]):,})" for rule in ordered[:_RULES_IN_A_LINE]]
        if (further := len(ordered) - _RULES_IN_A_LINE) > 0:
            parts.append(f"{further} more of such kinds")
        others = len(self.places) - len(ordered)
        parts += [f"{plural(others, 'kind')} of oddities repaired or kept by rule"] if others else []
        return "; ".join(parts) or "no oddities"


_RULES_IN_A_LINE = 4


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

    skip_bad_records: bool = False
    """Whether a record that cannot be read costs that record alone, and not the run."""

    def samples(self, notes: Notes | None = None) -> Iterator[Sample]:
        notes = notes if notes is not None else Notes()
        notes.skip_bad_records = self.skip_bad_records
        return self._samples(notes)

    def _samples(self, notes: Notes) -> Iterator[Sample]:
        try:
            yield from self.read(notes)
        except UserError:
            raise
        except Exception as error:  # whatever a third party's loader raises
            raise UserError(
                f"{self.origin}: dataset {self.benchmark.name!r} cannot be read ({type(error).__name__}: {error}); correct the "
                "data, or the loader of this dataset"
            ) from error


def refuse_options(name: str, options: Mapping[str, str]) -> None:
    """For datasets that are read from a file: they have no settings."""
    for key, value in options.items():
        raise UserError(f"--set dataset.{key}={value}: {name} is read from a file and has no settings; leave it out")


def note_unread_keys(
    values: Mapping[str, object], known: Collection[str], notes: Notes, owner: str, place: str
) -> None:
    """Names the keys that hold something and that the loader does not read. `owner`: what they are keys of, in words."""
    for key in values.keys() - known:
        if values[key] not in (None, "", [], {}):
            notes.doubt(f"key {key[:40]!r} of {owner}: not read", place)


def note_evidence_after(question: Question, sessions: Sequence[Session], notes: Notes) -> None:
    """Notes evidence that is dated later than the question: at that time nobody could have known the answer."""
    started_at = {session.id: session.started_at for session in sessions}
    for session_id in question.evidence_sessions:
        date = started_at[session_id]
        if date and question.asked_at and date > question.asked_at:
            notes.doubt("evidence sessions later than the question's date: kept", f"{question.id} {session_id}")


def in_time_order(sessions: Sequence[Session]) -> tuple[Session, ...]:
    """By date where there is one; an undated session stays behind the session before it."""
    latest, keyed = datetime.min, []
    for session in sessions:
        latest = session.started_at or latest
        keyed.append((latest, session))
    return tuple(session for _, session in sorted(keyed, key=lambda pair: pair[0]))
