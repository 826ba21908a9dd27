"""Usage by role, and the budget that stops a run before it is exceeded."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engram_eval.llm.errors import OverBudget

_COLUMNS = ("calls", "cached", "prompt_tokens", "completion_tokens", "cost_usd", "spent_usd", "unpriced")


class Reservation:
    """Dollars set aside for a call in flight: its worst case, until `settle` replaces it with the actual cost."""

    __slots__ = ("amount",)

    def __init__(self, worst_case: float) -> None:
        self.amount = worst_case

    def settle(self, cost: float) -> None:
        self.amount = cost


class BudgetTracker:
    """Usage by role and money spent. Clients of several endpoints may share one tracker, and with it one budget.

    `spent_usd`: what the run had spent before it was resumed. It counts against `max_cost_usd`, and in no role's usage.
    `journal` is called after every change with the dollars spent, including the worst case of the calls in flight.
    """

    def __init__(self, max_cost_usd: float | None = None, *, spent_usd: float = 0.0) -> None:
        self.max_cost_usd = max_cost_usd
        self.journal: Callable[[float], None] = lambda _usd: None
        self._roles: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(_COLUMNS, 0))
        self._spent = spent_usd
        self._in_flight: set[Reservation] = set()
        self._settled = asyncio.Event()

    def record(
        self, role: str, *, prompt_tokens: int, completion_tokens: int, cost_usd: float | None, cached: bool
    ) -> None:
        """Adds one answered call. `cost_usd` is None for a model without a price."""
        row = self._roles[role]
        row["calls"] += 1
        row["cached"] += cached
        row["prompt_tokens"] += prompt_tokens
        row["completion_tokens"] += completion_tokens
        row["cost_usd"] += cost_usd or 0.0
        row["spent_usd"] += 0.0 if cached else cost_usd or 0.0
        row["unpriced"] += cost_usd is None

    @property
    def spent_usd(self) -> float:
        """Everything spent, also before the run was resumed. Failed calls count with what they may have cost."""
        return self._spent

    def usage(self) -> dict[str, dict[str, float]]:
        return {role: dict(row) for role, row in sorted(self._roles.items())}

    async def reserve(self, worst_case: float) -> Reservation:
        """Sets the worst case of a call aside. Waits while calls in flight may turn out cheap enough to leave room for it.

        Raises OverBudget if the call does not fit into what is left of the budget.
        """
        while self.max_cost_usd is not None and self._spent + self._reserved() + worst_case > self.max_cost_usd:
            if not self._in_flight or self._spent + worst_case > self.max_cost_usd:
                raise OverBudget(
                    f"the next call could cost ${worst_case:.4f} and ${self._spent:.4f} of --max-cost "
                    f"${self.max_cost_usd:g} are spent; go on with a higher --max-cost (answers so far are kept)"
                )
            self._settled.clear()
            await self._settled.wait()
        reservation = Reservation(worst_case)
        self._in_flight.add(reservation)
        self._update_journal()
        return reservation

    @contextmanager
    def holding(self, reservation: Reservation) -> Iterator[Reservation]:
        """Around the call. At the end, the reservation's amount counts as spent: its worst case, if it was not settled."""
        try:
            yield reservation
        finally:
            self._in_flight.discard(reservation)
            self._spent += reservation.amount
            self._settled.set()
            self._update_journal()

    def _update_journal(self) -> None:
        self.journal(self._spent + self._reserved())

    def _reserved(self) -> float:
        return sum(reservation.amount for reservation in self._in_flight)  # a running total would drift
