"""Limits on requests and tokens per minute, kept in every 60 seconds as the server sees them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from engram_eval.llm.clock import Clock
from engram_eval.llm.errors import LLMError

_WINDOW_S = 60.0
_LOOK_AGAIN_S = 1.0  # meanwhile, finished calls may have given tokens back


@dataclass(slots=True)
class Permit:
    """One request in the log: the tokens counted for it, and the latest time at which it reached the server."""

    tokens: int
    arrived_by: float


class Limits:
    """A sliding log of the last minute, first come, first served.

    The server counts a request when it arrives, which is some time between sending and reply. So a request stays in the
    log until a minute after its reply (or after `transit_s`, by which it has arrived or never will), and no minute on
    the server's clock holds more than the limits allow.
    """

    def __init__(self, requests: int | None, tokens: int | None, clock: Clock, transit_s: float) -> None:
        self._requests, self._tokens = requests, tokens
        self._clock, self._transit_s = clock, transit_s
        self._log: deque[Permit] = deque()
        self._logged_tokens = 0
        self._turn = asyncio.Lock()

    @property
    def counts_tokens(self) -> bool:
        return self._tokens is not None

    async def admit(self, tokens: int) -> Permit:
        """Waits until the request may be sent. Raises LLMError if this request alone exceeds the limit on tokens."""
        if self._requests is None and self._tokens is None:
            return Permit(0, 0.0)
        if self._tokens is not None and tokens > self._tokens:
            raise LLMError(
                f"the request may take {tokens:,} tokens, more than the {self._tokens:,} allowed in a minute"
            )
        async with self._turn:
            while not self._fits(tokens):
                expiry = self._log[0].arrived_by + _WINDOW_S
                await self._clock.sleep(min(_LOOK_AGAIN_S, max(0.001, expiry - self._clock.monotonic())))
            permit = Permit(tokens, self._clock.monotonic() + self._transit_s)
            self._log.append(permit)
            self._logged_tokens += tokens
            return permit

    def finish(self, permit: Permit, tokens: int) -> None:
        """Call this when the reply has arrived, with the tokens that the request used."""
        permit.arrived_by = min(permit.arrived_by, self._clock.monotonic())
        if permit.arrived_by + _WINDOW_S > self._clock.monotonic():  # else it may have left the log
            self._logged_tokens += tokens - permit.tokens
            permit.tokens = tokens

    def _fits(self, tokens: int) -> bool:
        # Only from the left: an entry behind one that is still unanswered stays a little longer than necessary.
        while self._log and self._log[0].arrived_by + _WINDOW_S <= self._clock.monotonic():
            self._logged_tokens -= self._log.popleft().tokens
        if self._requests is not None and len(self._log) >= self._requests:
            return False
        return self._tokens is None or self._logged_tokens + tokens <= self._tokens
