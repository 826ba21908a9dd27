"""The tables of docs/backends.md list every backend, setting and preset as the code declares them."""

from __future__ import annotations

import re
from pathlib import Path

from engram_eval.registry import names, open_backend, resolve, settings_of

_PAGE = (Path(__file__).parents[2] / "docs" / "backends.md").read_text("utf-8")
_SAME_AS_ENGRAM = "degraded"


def test_every_backend_is_listed() -> None:
    assert set(re.findall(r"^\| `([\w-]+)` \| [A-Z`]", _PAGE, re.MULTILINE)) >= set(names("backends"))


def test_every_setting_is_listed_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `([\w-]+\.\w+)` \| `([\w.]+)` \|", _PAGE, re.MULTILINE))
    declared = {
        f"{name}.{key}": str(value).lower() if isinstance(value, bool) else str(value)
        for name in names("backends")
        if name != _SAME_AS_ENGRAM
        for key, value in settings_of(open_backend(name, {})).items()
    }
    assert listed == declared


def test_every_preset_is_listed() -> None:
    listed = set(re.findall(r"^\| `([\w-]+:[\w-]+)` \|", _PAGE, re.MULTILINE))
    declared = {
        f"{name}:{preset}"
        for name in names("backends")
        if name != _SAME_AS_ENGRAM
        for preset in getattr(resolve("backends", name), "presets", {})
    }
    assert listed == declared
