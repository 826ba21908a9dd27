"""What all commands share. A command parses arguments, calls the API, prints, and returns an exit code.

0 done; 1 a gate failed; 2 bad input or configuration; 3 finished but some questions errored; 130 interrupted, resumable.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

DONE, GATE_FAILED, BAD_INPUT, SOME_ERRORED, INTERRUPTED = 0, 1, 2, 3, 130


def define(
    parser: argparse.ArgumentParser, function: Callable[[argparse.Namespace], int], examples: str, details: str = ""
) -> None:
    """Sets what a command does and the end of its help."""
    if details:
        parser.description = f"{parser.description}\n\n{details}"
    parser.epilog = "examples:\n" + "\n".join(f"  engram-eval {line}" for line in examples.strip().splitlines())
    parser.set_defaults(command=function)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def add_action(
    actions: Any, name: str, function: Callable[[argparse.Namespace], int], summary: str, examples: str
) -> argparse.ArgumentParser:
    """Adds a command of a command, such as `cache export`."""
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    define(parser, function, examples)
    return parser


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


positive.__name__ = "positive whole number"  # argparse names the type in its message
