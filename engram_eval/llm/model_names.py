"""Names of models: as a server spells them, and as tables and files show them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath

_SNAPSHOT = re.compile(r"[-@:]?(?:\d{4}-\d{2}-\d{2}|\d{4,8}|latest|preview)$")


def shown_model(name: str) -> str:
    """The name without the folders of the server's machine: local servers name a model by the path of its file."""
    if re.match(r"[A-Za-z]:[\\/]|\\\\", name):
        return PureWindowsPath(name).name or name
    if name.startswith(("/", "~", "./", "../")):
        return PurePosixPath(name).name or name
    return name


def is_same_model(asked: str, served: str) -> bool:
    """Whether a server that was asked for one model and names another serves the same: with a date, a provider or a file's
    ending in its name."""
    return not served or _core(asked) == _core(served)


def _core(name: str) -> str:
    last = shown_model(name).rpartition("/")[2].lower().removesuffix(".gguf").removesuffix(":latest")
    return _SNAPSHOT.sub("", last)
