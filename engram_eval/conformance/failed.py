"""How a check ends that does not hold, and how an error of a memory is described."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_CALLERS = tuple(Path(__file__).parents[1] / name for name in ("conformance", "run", "system"))
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
        if not any(Path(frame.filename).is_relative_to(folder) for folder in _CALLERS)
    ]  # fmt: skip
    own_code = [frame for frame in frames if not any(Path(frame.filename).is_relative_to(path) for path in _LIBRARIES)]
    where = f" ({Path(own_code[-1].filename).name}, line {own_code[-1].lineno})" if own_code else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{where}"
