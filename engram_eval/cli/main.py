"""The command line: finds the command, and turns whatever goes wrong in it into one sentence and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from engram_eval import __version__
from engram_eval.cli import (
    agree,
    backends,
    baseline,
    cache,
    check,
    compare,
    datasets,
    doctor,
    export,
    failures,
    judge,
    report,
    run,
    show,
)
from engram_eval.cli.command import BAD_INPUT, DONE, INTERRUPTED
from engram_eval.errors import UserError
from engram_eval.tables.text import visible

_COMMANDS = (
    run,
    compare,
    check,
    baseline,
    show,
    failures,
    report,
    export,
    judge,
    agree,
    cache,
    datasets,
    backends,
    doctor,
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal cannot show must not end a run
    # A CI job that is cancelled gets a SIGTERM: end as after Ctrl-C, resumable and without a traceback.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        if options.debug:
            traceback.print_exception(error)
        print(f"engram-eval: {visible(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("engram-eval: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if options.debug:
            raise
        print(
            f"engram-eval: {type(error).__name__}: {error}; this is a fault of engram_eval, see it whole with --debug",
            file=sys.stderr,
        )
        return BAD_INPUT


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence, as for every other fault of a user's."""
        self.exit(BAD_INPUT, f"engram-eval: {message}; see '{self.prog} --help'\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="engram-eval",
        description="Measures memories for conversational agents on LoCoMo and LongMemEval: accuracy, context tokens, latency.",
        epilog="Exit codes: 0 done, 1 a gate failed, 2 bad input, 3 some questions errored, 130 interrupted and resumable.",
    )
    parser.add_argument("--version", action="version", version=f"engram-eval {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands)
    return parser
