"""Progress: bars on a terminal, a line now and then where output is a file or a CI log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from tqdm import tqdm

_PLAIN_LINES = 10


class Progress:
    """One bar for the conversations and one per backend for its questions."""

    def __init__(self, conversations: int, questions: int, backends: Iterable[str], *, done: dict[str, int]) -> None:
        labels = list(backends)
        self._live = sys.stderr.isatty()
        self._total = questions * len(labels)
        self._done = sum(done.values())
        self._failed: set[str] = set()
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

    def question(self, label: str, error: str | None) -> None:
        """Counts one; a backend's first error is told at once, so that nobody waits for the rest of them."""
        self._done += 1
        if error and label not in self._failed:
            self._failed.add(label)
            self._bars[label].set_postfix_str("errors!")
            tqdm.write(f"{label}: first error: {' '.join(error.split())}", file=sys.stderr)
        self._bars[label].update()
        tenths = self._done * _PLAIN_LINES // self._total
        if not self._live and tenths > self._told:
            self._told = tenths
            print(f"{self._done:,} of {self._total:,} answers", file=sys.stderr, flush=True)

    def fault(self, label: str, fault: str) -> None:
        """A backend's first fault is told at once; the run's folder has them all."""
        if label not in self._faulty:
            self._faulty.add(label)
            tqdm.write(
                f"{label}: {' '.join(fault.split())}; this and what follows stands in faults.jsonl", file=sys.stderr
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
