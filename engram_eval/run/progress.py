"""Progress: bars on a terminal, a line now and then where output is a file or a CI log."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tqdm import tqdm

from engram_eval.metrics.intervals import wilson
from engram_eval.results.record import Record

_PLAIN_LINES = 10


@dataclass(slots=True)
class _Tally:
    """What a backend's bar says of the answers so far."""

    scored: int = 0
    right: int = 0
    errors: int = 0
    answers: int = 0
    tokens: int = 0
    dollars: float = 0.0

    def add(self, record: Record, *, headline: bool) -> None:
        if record.status == "error":
            self.errors += 1
            return
        self.answers += 1
        self.tokens += record.context_tokens or 0
        self.dollars += (record.cost_usd or 0.0) + (record.judge_cost_usd or 0.0)
        if headline:
            self.scored += 1
            self.right += bool(record.correct)

    def __str__(self) -> str:
        parts = []
        if self.scored:
            low, high = (100 * share for share in wilson(self.right, self.scored))
            parts.append(f"{100 * self.right / self.scored:.1f} % right ({low:.0f}–{high:.0f})")
        if self.answers:
            parts.append(f"{self.tokens / self.answers:,.0f} tokens")
        if self.dollars:
            parts.append(f"${self.dollars:.2f}")
        if self.errors:
            parts.append(f"{self.errors:,} errors")
        return ", ".join(parts)


class Progress:
    """One bar for the conversations and one per backend: its questions, how many are right, tokens, money, time left.

    What is right is counted over the `headline` categories, of this process alone; the interval takes questions as
    independent, which the final table does not.
    """

    def __init__(
        self,
        conversations: int,
        questions: int,
        backends: Iterable[str],
        *,
        done: dict[str, int],
        headline: Collection[str] = (),
    ) -> None:
        labels = list(backends)
        self._live = sys.stderr.isatty()
        self._total = questions * len(labels)
        self._done = sum(done.values())
        self._headline = frozenset(headline)
        self._tallies = {label: _Tally() for label in labels}
        self._faulty: set[str] = set()
        self._told = self._done * _PLAIN_LINES // max(self._total, 1)
        width = max(map(len, [*labels, "conversations"]))
        form = "{desc} {bar:24} {n_fmt:>6}/{total_fmt} {elapsed}<{remaining}{postfix}"
        self._conversations = tqdm(
            total=conversations, desc="conversations".ljust(width), bar_format=form, disable=not self._live, position=0
        )
        self._bars = {
            label: tqdm(
                total=questions, initial=done.get(label, 0), desc=label.ljust(width), bar_format=form,
                disable=not self._live, position=i,
            )
            for i, label in enumerate(labels, start=1)
        }  # fmt: skip

    def question(self, record: Record) -> None:
        """Counts one; a backend's first error is told at once, so that nobody waits for the rest of them."""
        self._done += 1
        label, tally = record.backend, self._tallies[record.backend]
        if record.error and not tally.errors:
            tqdm.write(f"{label}: first error: {' '.join(record.error.split())}", file=sys.stderr)
        tally.add(record, headline=record.category in self._headline)
        if self._live:
            self._bars[label].set_postfix_str(str(tally), refresh=False)
        self._bars[label].update()
        tenths = self._done * _PLAIN_LINES // self._total
        if not self._live and tenths > self._told:
            self._told = tenths
            print(f"{self._done:,} of {self._total:,} answers", file=sys.stderr, flush=True)

    def warning(self, label: str, fault: str) -> None:
        """A backend's first fault is told at once; the run's folder has them all."""
        if label not in self._faulty:
            self._faulty.add(label)
            tqdm.write(
                f"{label}: {' '.join(fault.split())}; this and what follows stands in warnings.jsonl", file=sys.stderr
            )

    def conversation(self) -> None:
        self._conversations.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for bar in [self._conversations, *self._bars.values()]:
            bar.close()
