"""Two memories share the token budget: `conditional` fills its part, `engram` fills the rest.

This is the memory analogue of the sparsity allocation of DeepSeek's Engram (arXiv 2601.07372), which splits a model's
parameters between experts and look-up tables and finds a U-shaped loss. Results for memories: benchmarks/split_budget.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, zip_longest
from typing import TypeVar

from engram_eval.backends.backend import ExpectedCall, Services, expected_embedding
from engram_eval.backends.conditional import ConditionalBackend, ConditionalMemory
from engram_eval.backends.engram import EngramBackend, EngramMemory
from engram_eval.types import Context, ConversationInfo, Item, Session

T = TypeVar("T", Item, str)


@dataclass(frozen=True)
class SplitBudgetBackend:
    """`conditional` and `engram` together: `share` of the token budget, from 0 to 1, is `conditional`'s, the rest `engram`'s.

    A share of 0 is `engram` alone, 1 `conditional` alone. Without a budget to split, any share above 0 is `conditional`
    alone. Both have their default settings: --set engram.KEY and --set conditional.KEY do not change them here.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError("share must be from 0 to 1")

    def expected_calls(self, session: Session, count_tokens: Callable[[str], int]) -> list[ExpectedCall]:  # noqa: ARG002
        return [expected_embedding(session)]

    async def open(self, conversation: ConversationInfo, services: Services) -> SplitBudgetMemory:
        conditional_services, engram_services = (
            replace(services, folder=services.folder / name) for name in ("conditional", "engram")
        )
        for part in (conditional_services, engram_services):
            part.folder.mkdir(exist_ok=True)
        conditional = await ConditionalBackend().open(conversation, conditional_services)
        engram = await EngramBackend().open(conversation, engram_services)
        return SplitBudgetMemory(self.share, services, conditional, engram)


class SplitBudgetMemory:
    """Both memories store every turn, whatever the share."""

    def __init__(self, share: float, services: Services, conditional: ConditionalMemory, engram: EngramMemory) -> None:
        self._share = share
        self._tokens = services.tokens
        self._conditional, self._engram = conditional, engram

    async def ingest(self, session: Session) -> None:
        await self._conditional.ingest(session)
        await self._engram.ingest(session)

    async def ready(self) -> None:
        await self._conditional.ready()
        await self._engram.ready()

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        if self._share == 0:
            return await self._engram.retrieve(query, asked_at=asked_at, budget=budget)
        if self._share == 1 or budget is None:
            return await self._conditional.retrieve(query, asked_at=asked_at, budget=budget)
        first = await self._conditional.retrieve(query, asked_at=asked_at, budget=round(self._share * budget))
        retrieved = {turn_id for item in first.items for turn_id in item.turn_ids}
        rest = budget - self._tokens.count(first.text + "\n") if first.text else budget
        while True:
            second = await self._engram.retrieve(query, asked_at=asked_at, budget=max(rest, 0), exclude=retrieved)
            text = "\n".join(part.text for part in (first, second) if part.text)
            excess = self._tokens.count(text) - budget
            if excess <= 0 or not second.text:
                return _joined(text, first, second)
            rest -= excess  # two texts may take more tokens together than separately

    async def close(self) -> None:
        try:
            await self._conditional.close()
        finally:
            await self._engram.close()


def _joined(text: str, first: Context, second: Context) -> Context:
    """One context of two. In `text` the first's turns, dated and in time order, are above the second's.

    The scores have no common scale. So the two rankings are interleaved by rank, starting with the first's, and an item's
    score is the inverse of its rank in its own ranking.
    """
    by_rank = [
        [replace(item, score=1 / rank) for rank, item in enumerate(part.items, start=1)] for part in (first, second)
    ]
    items: tuple[Item, ...] = tuple(_interleaved(*by_rank))
    included = {turn_id for item in items for turn_id in item.turn_ids}
    left_out = dict.fromkeys(_interleaved(first.left_out, second.left_out))
    return Context(
        text,
        items,
        first.truncated or second.truncated,
        tuple(turn_id for turn_id in left_out if turn_id not in included),
    )


def _interleaved(first: Sequence[T], second: Sequence[T]) -> list[T]:
    return [value for value in chain.from_iterable(zip_longest(first, second)) if value is not None]
