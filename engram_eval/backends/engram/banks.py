"""Contexts as in the paper (section 3.4, appendix B.1): each speaker has stores of their own, and a bank in the context.

The best `k` records of each type are taken from each speaker's stores, merged, and cut to `total`. A record is a line
`anchor: text`, under the name of its speaker, in the order in which the records were made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from engram_eval.backends.engram.extractor import MemoryRecord
from engram_eval.backends.engram.packing import merge
from engram_eval.backends.engram.store import Stored
from engram_eval.backends.scores import Scores
from engram_eval.language.dates import DateSpan, format_span
from engram_eval.language.tokens import TokenCounter
from engram_eval.types import Context, Item


def bank_heading(speaker: str) -> str:
    return f"# Memories of {speaker}"


def bank_line(record: MemoryRecord) -> str:
    """A record of a memory that knows no date has no anchor."""
    if record.anchor is None:
        return record.text
    when = format_span(DateSpan(*record.anchor, text="", position=(0, 0), relative=False))
    return f"{when}: {record.text}"


def merge_banks(
    stored: Stored, scores: Scores, *, k: int, total: int, typed: bool, exclude: Collection[str] = ()
) -> list[int]:
    """Indices of the best `k` records of each type of each speaker, best first, at most `total` of all speakers together."""
    speakers = np.array([stored.speaker(i) for i in range(len(stored.records))], object)
    merged: list[int] = []
    for speaker in dict.fromkeys(speakers):
        own = np.flatnonzero(speakers == speaker)
        records = [stored.records[i] for i in own]
        best = merge(records, scores[own], k=k, total=len(own), typed=typed, exclude=exclude)
        merged += [int(own[i]) for i in best]
    return sorted(merged, key=lambda i: -scores[i])[:total]


def pack_banks(
    stored: Stored, merged: Sequence[int], scores: Scores, tokens: TokenCounter, budget: int | None
) -> Context:
    """The context of the merged records that fit `budget`, taken best first."""
    taken = list(merged)
    if budget is not None:
        used = np.cumsum([tokens.count(bank_line(stored.records[i]) + "\n") for i in merged])  # without the headings
        taken = taken[: int(np.searchsorted(used, budget + 1, side="right"))]
        while taken and tokens.count(render_banks(stored, taken)) > budget:
            taken.pop()
    return Context(
        render_banks(stored, taken),
        tuple(Item(stored.records[i].turn_ids, float(scores[i]), str(stored.records[i].type)) for i in taken),
        truncated=len(taken) < len(merged),
        left_out=tuple(turn_id for i in merged[len(taken) :] for turn_id in stored.records[i].turn_ids),
    )


def render_banks(stored: Stored, chosen: Sequence[int]) -> str:
    """A heading and lines for each speaker, in the order of the stores."""
    lines, speaker = list[str](), None
    for i in sorted(chosen, key=lambda i: (stored.places[i], i)):
        if stored.speaker(i) != speaker:
            speaker = stored.speaker(i)
            lines.append(bank_heading(speaker))
        lines.append(bank_line(stored.records[i]))
    return "\n".join(lines)
