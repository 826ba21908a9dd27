"""How much work a function does, as a number that is the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Callable


def calls_made(function: Callable[[], object]) -> int:
    """How many functions, of Python and of C, the function calls."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count
