"""When to try again, and after how long."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from engram_eval.llm.clock import Clock

_FIRST_S = 1.0
_CEILING_S = 60.0
_LONGEST_REQUESTED_S = 300.0  # a server that requests a longer wait is not available for this call


def is_temporary(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505))


def backoff(failures: int, headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds to wait after the n-th failure (from 1); None if the server requests a wait that is too long.

    Exponential with full jitter: each wait is uniform between 0 and its ceiling, so that calls that failed together do
    not come back together. A wait that the server requests is kept in full, with a little jitter on top.
    """
    ceiling = min(_CEILING_S, _FIRST_S * 2.0 ** (failures - 1))
    requested = _requested_wait(headers, clock)
    if requested is None:
        return ceiling * clock.random()
    return None if requested > _LONGEST_REQUESTED_S else requested + min(1.0, ceiling) * clock.random()


def _requested_wait(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Retry-After in seconds from now; the header holds a number or an HTTP date (RFC 9110, 10.2.3)."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:  # OpenAI's more precise header
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _number(value)) is not None:
        return seconds if value is not None else None
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - clock.wall())
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
