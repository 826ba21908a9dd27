"""`backends`: lists the memories with their presets and settings."""

from __future__ import annotations

import argparse

from engram_eval.cli.command import DONE, define


def add(parser: argparse.ArgumentParser) -> None:
    define(parser, _backends, "backends")


def _backends(_options: argparse.Namespace) -> int:
    from engram_eval.cli import inspection

    inspection.list_backends()
    return DONE
