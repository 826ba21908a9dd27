"""`doctor`: checks what is installed and what can be reached."""

from __future__ import annotations

import argparse
from typing import Any

from engram_eval.cli.command import BAD_INPUT, DONE, command


def add(commands: Any) -> None:
    command(commands, "doctor", _doctor, "check what is installed and what can be reached", "doctor")


def _doctor(_options: argparse.Namespace) -> int:
    from engram_eval.cli import inspection

    return DONE if inspection.doctor() else BAD_INPUT
