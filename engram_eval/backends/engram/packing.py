"""Recall: the top k of each type, merged as sets, cut to the budget, rendered by type with dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engram_eval.backends.engram.extractor import MemoryRecord
from engram_eval.backends.engram.ranking import Scores
from engram_eval.backends.engram.router import MemoryType
from engram_eval.backends.engram.store import Stored
from engram_eval.backends.lexical import best_first
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
    """Tokens of everything that can stand in a context, each with its line break."""

    records: list[int]
    dates: list[int]
    headings: dict[MemoryType, int]

    @staticmethod
    def of(stored: Stored, tokens: TokenCounter) -> Costs:
        return Costs(
            [tokens.count(record.line + "\n") for record in stored.records],
            [tokens.count(date_header(when) + "\n") if when else 0 for when in stored.session_dates],
            {kind: tokens.count(heading + "\n") for kind, heading in _HEADINGS.items()},
        )


def merge(
    records: Sequence[MemoryRecord],
    scores: Scores,
    *,
    k: int,
    total: int,
    typed: bool = True,
    counts: Mapping[MemoryType, int] | None = None,
    without: Collection[str] = (),
) -> list[int]:
    """Indices of the best `k` records of each type, best first, at most `total`; a turn's words stand once.

    Of a turn's records that score the same, the one whose type comes first in `MemoryType` stays. Not `typed`: the best
    `k` of all. `counts`: the records of each type, for those who have counted them before. A record of turns `without`
    alone is passed over.
    """
    left: dict[MemoryType | None, int] = {None: k}
    if typed:
        counts = Counter(record.type for record in records) if counts is None else counts
        left = {kind: min(k, count) for kind, count in counts.items()}
    elsewhere = frozenset(without)
    held: set[tuple[str, ...] | str] = set()
    merged: list[int] = []
    for i in best_first(scores):
        if len(merged) == total or not any(left.values()):
            break
        record = records[i]
        kind = record.type if typed else None
        what = record.turn_ids if record.verbatim else record.line
        if left[kind] == 0 or (what in held and not typed) or elsewhere.issuperset(record.turn_ids):
            continue
        left[kind] -= 1
        if what not in held:
            held.add(what)
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
    typed: bool = True,
) -> Context:
    """The merged records, best first while they fit `budget`, as a context."""
    taken = _fill(stored, merged, costs, budget, typed)
    if budget is not None:
        while taken and tokens.count(render(stored, taken, typed=typed)) > budget:
            taken.pop()
    items = tuple(Item(stored.records[i].turn_ids, float(scores[i]), str(stored.records[i].type)) for i in taken)
    kept = set(taken)
    left_out = tuple(turn_id for i in merged if i not in kept for turn_id in stored.records[i].turn_ids)
    return Context(render(stored, taken, typed=typed), items, len(taken) < len(merged), left_out)


def _fill(stored: Stored, merged: Sequence[int], costs: Costs, budget: int | None, typed: bool) -> list[int]:
    if budget is None:
        return list(merged)
    taken, used = [], 0
    paid: set[object] = set()  # headings, and dates under them, that already stand
    for i in merged:
        kind, session = stored.records[i].type if typed else None, stored.turns[stored.places[i]].session
        cost = costs.records[i]
        cost += 0 if kind is None or kind in paid else costs.headings[kind]
        cost += 0 if (kind, session) in paid else costs.dates[session]
        if used + cost <= budget + 1:  # the last line has no line break
            taken.append(i)
            used += cost
            paid |= {kind, (kind, session)}
    return taken


def render(stored: Stored, chosen: Iterable[int], *, typed: bool = True) -> str:
    """Grouped by type (if `typed`), in time order, a session's date once above its records."""
    kinds = list(MemoryType)

    def order(i: int) -> tuple[int, int]:
        return kinds.index(stored.records[i].type) if typed else 0, stored.places[i]

    lines, kind, session = [], None, -1
    for i in sorted(chosen, key=order):
        record, record_session = stored.records[i], stored.turns[stored.places[i]].session
        if typed and record.type != kind:
            kind, session = record.type, -1
            lines.append(_HEADINGS[kind])
        if record_session != session:
            session = record_session
            if when := stored.session_dates[session]:
                lines.append(date_header(when))
        lines.append(record.line)
    return "\n".join(lines)
