"""How a check ends that does not hold, and how an error of a memory is described."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_OWN = Path(__file__).parent
_EVENT_LOOP = Path(__file__).parents[1] / "system" / "event_loop.py"
_LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))


class Failed(Exception):  # noqa: N818 - it is no error of the program
    """A check does not hold: one sentence on what was seen and what to change."""


class NotApplicable(Exception):  # noqa: N818
    """A check says nothing about this memory: one sentence on the reason."""


def describe(error: BaseException) -> str:
    """`TypeError: … (my_memory.py, line 12)`: the error, and the last line of the memory's own code that it passed through."""
    text = " ".join(str(error).split())[:300]
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__)
        if not Path(frame.filename).is_relative_to(_OWN) and Path(frame.filename) != _EVENT_LOOP
    ]  # fmt: skip
    own_code = [frame for frame in frames if not any(Path(frame.filename).is_relative_to(path) for path in _LIBRARIES)]
    where = f" ({Path(own_code[-1].filename).name}, line {own_code[-1].lineno})" if own_code else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{where}"
