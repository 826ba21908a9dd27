"""`backends`: lists the memories with their presets and settings."""

from __future__ import annotations

import argparse
from typing import Any

from engram_eval.cli.command import DONE, command


def add(commands: Any) -> None:
    command(commands, "backends", _backends, "list the memories with their presets and settings", "backends")


def _backends(_options: argparse.Namespace) -> int:
    from engram_eval.cli import inspection

    inspection.list_backends()
    return DONE
