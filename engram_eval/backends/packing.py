"""Packs the hits of a memory into a token budget, and renders them as the built-in memories render turns.

    A fact that the memory has no date of.
    [8 May 2023]
    Caroline: I went to a support group yesterday.

A date is printed once, above its hits. Hits are in time order, whatever their rank; those without a date come first, because
below a date they would seem to belong to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from engram_eval.backends.transcript import date_header
from engram_eval.types import Context, Hit, Item

CountTokens = Callable[[str], int]


def pack(
    hits: Sequence[Hit | str], budget: int | None, count_tokens: CountTokens, *, turn_order: Sequence[str] = ()
) -> Context:
    """The context of the hits, given best first, that fit `budget` tokens; all of them if it is None.

    A hit that does not fit is skipped and the next one tried; if none fits, the beginning of the best is taken. A text that
    comes twice is taken once. `turn_order`: the ids of the conversation's turns in time order, to order hits of one date;
    without it, they stay in the order of their ranks. A string is a hit without source, score and date.
    """
    ranked = _distinct([Hit(hit) if isinstance(hit, str) else hit for hit in hits])
    packing = _Packing(ranked, count_tokens, {turn_id: place for place, turn_id in enumerate(turn_order)})
    taken = list(range(len(ranked))) if budget is None else packing.fill(budget)
    if ranked and not taken and budget:
        best = packing.beginning(ranked[0], budget)
        text = _render([best]) if best.text else ""
        return Context(text, (_item(best),) if text else (), True, _turn_ids(ranked[0 if not text else 1 :]))
    left_out = [hit for rank, hit in enumerate(ranked) if rank not in set(taken)]
    in_context = {turn_id for rank in taken for turn_id in ranked[rank].turn_ids}
    return Context(
        packing.render(taken),
        tuple(_item(ranked[rank]) for rank in taken),
        bool(left_out),
        tuple(turn_id for turn_id in _turn_ids(left_out) if turn_id not in in_context),
    )


def packed(result: object, budget: int | None, count_tokens: CountTokens, *, turn_order: Sequence[str] = ()) -> object:
    """What `retrieve` returned, with hits packed into a context. Raises TypeError for a list of other things than hits."""
    if not isinstance(result, list | tuple):
        return result
    for hit in result:
        if not isinstance(hit, str) and not (isinstance(hit, Hit) and isinstance(hit.text, str)):
            raise TypeError(f"retrieve returned a list with {type(hit).__name__}, which is neither a Hit nor a text")
        if isinstance(hit, Hit) and not isinstance(hit.turn_ids, tuple):
            raise TypeError("a hit has no tuple of turn ids")
    return pack(result, budget, count_tokens, turn_order=turn_order)


@dataclass(frozen=True, slots=True)
class _Packing:
    """`hits`, best first; `place`: each turn's position in the conversation."""

    hits: Sequence[Hit]
    count_tokens: CountTokens
    place: Mapping[str, int]

    def fill(self, budget: int) -> list[int]:
        """The ranks of the hits that fit. Parts add up nearly, but not exactly, to the whole, which is counted last."""
        taken: list[int] = []
        dates: set[str] = set()
        used = 0
        for rank, hit in enumerate(self.hits):
            header = date_header(hit.date)
            cost = self.count_tokens(hit.text + "\n")
            if header and header not in dates:
                cost += self.count_tokens(header + "\n")
            if used + cost <= budget + 1:  # the last line has no line break
                taken.append(rank)
                dates.add(header)
                used += cost
        while taken and self.count_tokens(self.render(taken)) > budget:
            taken.pop()
        return taken

    def render(self, ranks: Sequence[int]) -> str:
        return _render([self.hits[rank] for rank in sorted(ranks, key=self._in_time)])

    def _in_time(self, rank: int) -> tuple[str, int, int]:
        hit = self.hits[rank]
        day = hit.date.date().isoformat() if hit.date else ""
        places = [self.place[turn_id] for turn_id in hit.turn_ids if turn_id in self.place]
        return day, min(places, default=len(self.place)), rank

    def beginning(self, hit: Hit, budget: int) -> Hit:
        """The hit with as much of its text as fits with its date; with none if nothing fits."""
        fits, too_long = 0, len(hit.text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if self.count_tokens(_render([replace(hit, text=hit.text[:middle])])) <= budget:
                fits = middle
            else:
                too_long = middle
        return replace(hit, text=hit.text[:fits].rstrip())


def _render(hits: Sequence[Hit]) -> str:
    """Hits that are in time order, with each date above its hits."""
    lines, date = [], ""
    for hit in hits:
        header = date_header(hit.date)
        if header != date:
            lines.append(header)
            date = header
        lines.append(hit.text)
    return "\n".join(lines)


def _distinct(hits: Sequence[Hit]) -> list[Hit]:
    """Without hits of no text, and each text of a date once, with the turns of all."""
    distinct: dict[tuple[str, str], Hit] = {}
    for hit in hits:
        if hit.text.strip():
            key = hit.text, date_header(hit.date)
            first = distinct.get(key)
            sources = tuple(dict.fromkeys([*first.turn_ids, *hit.turn_ids])) if first else ()
            distinct[key] = replace(first, turn_ids=sources) if first else hit
    return list(distinct.values())


def _item(hit: Hit) -> Item:
    return Item(tuple(hit.turn_ids), float(hit.score))


def _turn_ids(hits: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(turn_id for hit in hits for turn_id in hit.turn_ids))
