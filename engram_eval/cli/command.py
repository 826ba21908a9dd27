"""The commands, a file each. A command says what it will do, does it, prints, and returns an exit code.

0 done; 1 a gate failed; 2 bad input or configuration; 3 finished but some questions errored; 130 interrupted, resumable.
"""

from __future__ import annotations

import argparse
from typing import Any

DONE, GATE_FAILED, BAD_INPUT, SOME_ERRORED, INTERRUPTED = 0, 1, 2, 3, 130


def command(commands: Any, name: str, function: Any, summary: str, examples: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  engram-eval {line}" for line in examples.strip().splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


positive.__name__ = "positive whole number"  # argparse names the type in its message
