"""Progress: bars on a terminal, ten lines in a file or a CI log."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tqdm import tqdm

from engram_eval.metrics.intervals import wilson
from engram_eval.results.record import Record
from engram_eval.tables.text import visible

_PLAIN_LINES = 10


@dataclass(slots=True)
class _Tally:
    """What a backend's bar shows of the answers so far."""

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

    Right answers are counted over the `headline` categories, and in this process alone; the interval treats questions as
    independent, which the final table does not. Prints nothing unless `shown`.
    """

    def __init__(
        self,
        conversations: int,
        questions: int,
        backends: Iterable[str],
        *,
        done: dict[str, int],
        headline: Collection[str] = (),
        shown: bool = True,
    ) -> None:
        labels = list(backends)
        self._shown = shown
        self._live = shown and sys.stderr.isatty()
        self._total = questions * len(labels)
        self._done = sum(done.values())
        self._headline = frozenset(headline)
        self._tallies = {label: _Tally() for label in labels}
        self._warned: set[str] = set()
        self._sent_again: Counter[str] = Counter()
        self._printed_tenths = self._done * _PLAIN_LINES // max(self._total, 1)
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
        """Counts a record. A backend's first error is printed at once, so that a failing run is noticed early."""
        self._done += 1
        label, tally = record.backend, self._tallies[record.backend]
        if record.error and not tally.errors and self._shown:
            tqdm.write(visible(f"{label}: first error: {' '.join(record.error.split())}"), file=sys.stderr)
        tally.add(record, headline=record.category in self._headline)
        if self._live:
            self._bars[label].set_postfix_str(str(tally), refresh=False)
        self._bars[label].update()
        tenths = self._done * _PLAIN_LINES // self._total
        if self._shown and not self._live and tenths > self._printed_tenths:
            self._printed_tenths = tenths
            print(f"{self._done:,} of {self._total:,} answers", file=sys.stderr, flush=True)

    def sent_again(self, event: str, reason: str) -> None:
        """Counts a request that is sent again after a time-out or another failure, and shows it: the run may look stuck."""
        self._sent_again[event] += 1
        if self._live:
            self._conversations.set_postfix_str(self._resent_in_words())
        elif self._shown and self._sent_again[event] in (1, 10, 100, 1000):
            print(visible(f"{self._resent_in_words()} so far, the last because {reason}"), file=sys.stderr, flush=True)

    def _resent_in_words(self) -> str:
        plurals = {"time-out": "time-outs", "retry": "retries"}
        counts = sorted(self._sent_again.items(), reverse=True)
        return ", ".join(f"{count:,} {event if count == 1 else plurals[event]}" for event, count in counts)

    def warning(self, label: str, warning: str) -> None:
        """Prints a backend's first warning at once; the run's folder has all of them."""
        if self._shown and label not in self._warned:
            self._warned.add(label)
            tqdm.write(
                visible(f"{label}: {' '.join(warning.split())}; this and later warnings are in warnings.jsonl"),
                file=sys.stderr,
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
