"""`backends`: lists the memory backends with their presets and settings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from engram_eval.cli.command import DONE, define
from engram_eval.cli.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _backends,
        """backends
backends engram
backends my_package.my_memory:MyBackend""",
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these: built-in names, or package.module:Class")


def _backends(options: argparse.Namespace) -> int:
    from engram_eval import registry

    for entry in registry.describe_backends(options.names):
        say(f"{entry.name:14} {entry.summary}")
        for key, value in entry.settings.items():
            note = f"  ({entry.notes[key]})" if key in entry.notes else ""
            say(f"{'':14}   --set {entry.name}.{key}={_plain(value)}{note}")
        for preset, settings in entry.presets.items():
            say(f"{'':14}   {entry.name}:{preset} is {_in_words(settings)}")
    if options.names:
        return DONE
    say('worker:COMMAND A memory in a process of its own, such as another Python: worker:"python my_worker.py".')
    say("http://HOST    A memory on a server (https:// too).")
    return DONE


def _in_words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_plain(value)}" for key, value in settings.items())


def _plain(value: object) -> str:
    """As `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
