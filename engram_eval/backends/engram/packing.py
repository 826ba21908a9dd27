"""Packing: the top k records of each type are merged, fitted into the budget, and rendered with dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engram_eval.backends.engram.extractor import MemoryRecord
from engram_eval.backends.engram.router import MemoryType
from engram_eval.backends.engram.store import Stored
from engram_eval.backends.scores import Scores, best_first
from engram_eval.backends.transcript import date_header
from engram_eval.language.tokens import TokenCounter
from engram_eval.types import Context, Item

_HEADINGS = {
    MemoryType.EPISODIC: "# Events",
    MemoryType.SEMANTIC: "# Facts",
    MemoryType.PROCEDURAL: "# Plans and habits",
}


@dataclass(frozen=True, slots=True)
class Costs:
    """Token counts of every line that a context can contain, each with its line break."""

    records: list[int]
    dates: list[int]
    headings: dict[MemoryType, int]
    mean: float
    """Of a record."""

    @staticmethod
    def of(stored: Stored, tokens: TokenCounter) -> Costs:
        records = [tokens.count(record.line + "\n") for record in stored.records]
        return Costs(
            records,
            [tokens.count(date_header(when) + "\n") if when else 0 for when in stored.session_dates],
            {kind: tokens.count(heading + "\n") for kind, heading in _HEADINGS.items()},
            sum(records) / len(records) if records else 1.0,
        )


def merge(
    records: Sequence[MemoryRecord],
    scores: Scores,
    *,
    k: int,
    total: int,
    typed: bool = True,
    counts: Mapping[MemoryType, int] | None = None,
    exclude: Collection[str] = (),
) -> list[int]:
    """Indices of the best `k` records of each type, best first, at most `total`; without `typed`, the best `k` of all.

    A turn's words appear once. If several of its records have the same score, the one whose type comes first in
    `MemoryType` is kept. `counts` is the number of records of each type, for callers that have counted them already.
    Records that come only from turns in `exclude` are skipped.
    """
    remaining: dict[MemoryType | None, int] = {None: k}
    if typed:
        counts = Counter(record.type for record in records) if counts is None else counts
        remaining = {kind: min(k, count) for kind, count in counts.items()}
    excluded = frozenset(exclude)
    contents: set[tuple[str, ...] | str] = set()
    merged: list[int] = []
    for i in best_first(scores):
        if len(merged) == total or not any(remaining.values()):
            break
        record = records[i]
        kind = record.type if typed else None
        content = record.turn_ids if record.verbatim else record.line
        if remaining[kind] == 0 or (content in contents and not typed) or excluded.issuperset(record.turn_ids):
            continue
        remaining[kind] -= 1
        if content not in contents:
            contents.add(content)
            merged.append(i)
    return merged


def pack(
    stored: Stored,
    merged: Sequence[int],
    scores: Scores,
    costs: Costs,
    tokens: TokenCounter,
    budget: int | None,
    *,
    by_type: bool,
) -> Context:
    """The context of the merged records that fit `budget`, taken best first."""
    taken = _fill(stored, merged, costs, budget, by_type)
    if budget is not None:
        while taken and tokens.count(render(stored, taken, by_type=by_type)) > budget:
            taken.pop()
    items = tuple(Item(stored.records[i].turn_ids, float(scores[i]), str(stored.records[i].type)) for i in taken)
    kept = set(taken)
    left_out = tuple(turn_id for i in merged if i not in kept for turn_id in stored.records[i].turn_ids)
    return Context(render(stored, taken, by_type=by_type), items, len(taken) < len(merged), left_out)


def _fill(stored: Stored, merged: Sequence[int], costs: Costs, budget: int | None, by_type: bool) -> list[int]:
    """The records that fit by the sum of their lines' tokens, which is close to the tokens of the rendered text."""
    if budget is None:
        return list(merged)
    taken, used = [], 0
    paid: set[object] = set()  # headings, and dates under them, that are already in the context
    for i in merged:
        kind, session = stored.records[i].type if by_type else None, stored.turns[stored.places[i]].session
        cost = costs.records[i]
        cost += 0 if kind is None or kind in paid else costs.headings[kind]
        cost += 0 if (kind, session) in paid else costs.dates[session]
        if used + cost <= budget + 1:  # the last line has no line break
            taken.append(i)
            used += cost
            paid |= {kind, (kind, session)}
    return taken


def render(stored: Stored, chosen: Iterable[int], *, by_type: bool) -> str:
    """Grouped by type (if `by_type`), in time order, with a session's date once above its records."""
    kinds = list(MemoryType)

    def order(i: int) -> tuple[int, int]:
        return kinds.index(stored.records[i].type) if by_type else 0, stored.places[i]

    lines, kind, session = [], None, -1
    for i in sorted(chosen, key=order):
        record, record_session = stored.records[i], stored.turns[stored.places[i]].session
        if by_type and record.type != kind:
            kind, session = record.type, -1
            lines.append(_HEADINGS[kind])
        if record_session != session:
            session = record_session
            if when := stored.session_dates[session]:
                lines.append(date_header(when))
        lines.append(record.line)
    return "\n".join(lines)
