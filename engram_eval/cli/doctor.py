"""`doctor`: checks what is installed and what can be reached."""

from __future__ import annotations

import argparse

from engram_eval.cli.command import BAD_INPUT, DONE, define


def add(parser: argparse.ArgumentParser) -> None:
    define(parser, _doctor, "doctor")


def _doctor(_options: argparse.Namespace) -> int:
    from engram_eval.cli import inspection

    return DONE if inspection.doctor() else BAD_INPUT
