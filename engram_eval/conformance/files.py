"""Which files were written outside of a folder, as far as Python's own calls show it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NO_STATE = ("/dev/", "/proc/")
_watches: list[FileWatch] = []


@dataclass(slots=True)
class FileWatch:
    """`states`: of each path that was opened for writing or made, its size and time at that moment; None if it was new."""

    states: dict[Path, tuple[int, int] | None] = field(default_factory=dict)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        _install()
        _watches.append(self)
        try:
            yield
        finally:
            _watches.remove(self)

    def left_outside(self, folder: Path) -> list[Path]:
        """Paths outside the folder that are new or changed. Caches are left out: they may outlive a memory."""
        allowed = [folder.resolve(), user_cache_path().resolve()]
        allowed += [Path(os.environ[name]).resolve() for name in ("XDG_CACHE_HOME", "HF_HOME") if name in os.environ]
        return [
            path
            for path, before in self.states.items()
            if (after := _state(path)) is not None
            and after != before
            and not any(path.is_relative_to(each) for each in allowed)
            and "__pycache__" not in path.parts
            and not str(path).startswith(_NO_STATE)
        ]

    def note(self, path: Any) -> None:
        text = os.fsdecode(path).removeprefix("file:").partition("?")[0]
        if text and text != ":memory:":
            absolute = Path(os.path.realpath(text))
            self.states.setdefault(absolute, _state(absolute))


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (0, 0) if path.is_dir() else (status.st_size, status.st_mtime_ns)  # a folder changes with what is in it


@cache
def _install() -> None:
    """Once a process: an audit hook cannot be removed."""
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watches:
        return
    path: Any = None
    if event == "open":
        opened, mode, flags = arguments
        if any(letter in (mode or "") for letter in "wax+") or (flags or 0) & _WRITE_FLAGS:
            path = opened
    elif event in ("os.mkdir", "sqlite3.connect"):
        path = arguments[0]
    elif event == "os.rename":
        path = arguments[1]
    if isinstance(path, str | bytes | os.PathLike):
        for watch in _watches:
            watch.note(path)
