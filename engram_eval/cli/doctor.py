"""`doctor`: checks what is installed and what can be reached."""

from __future__ import annotations

import argparse

from engram_eval.cli.command import BAD_INPUT, DONE, define
from engram_eval.cli.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    define(parser, _doctor, "doctor")


def _doctor(_options: argparse.Namespace) -> int:
    from engram_eval.run.doctor import checks

    code = DONE
    for check in checks():
        state = "ok" if check.ok else "MISSING" if check.needed else "absent"
        say(f"{state:8} {check.name}: {check.text}")
        if check.needed and not check.ok:
            code = BAD_INPUT
    return code
