"""The command line: finds the command, and turns whatever goes wrong in it into one sentence and an exit code."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from engram_eval import __version__
from engram_eval.cli.command import BAD_INPUT, DONE, INTERRUPTED
from engram_eval.cli.terminal import say
from engram_eval.errors import UserError

# Each is a module of this package, imported only when its command is named: `engram-eval --help` must be quick.
COMMANDS = {
    "run": "run a benchmark against memory backends and record every question",
    "compare": "compare the backends of finished runs in one table",
    "check": "check a run against a baseline: exit 0 holds, 1 regressed, 2 cannot compare",
    "baseline": "write a finished run's scores as a baseline for 'check'",
    "show": "print a question with its answers, verdicts and contexts, the evidence marked",
    "failures": "list wrong answers with the stage at which the evidence was lost",
    "report": "render finished runs as one HTML page: tables, charts and every question",
    "export": "write the records of runs as one table, Parquet or CSV",
    "judge": "grade answers that were made elsewhere, as a run like any other",
    "rejudge": "judge the stored answers of a run again, by several judges side by side",
    "agree": "measure how well a judge agrees with recorded verdicts",
    "cache": "show the cache of model answers, export it to a file, or import one",
    "datasets": "list the datasets, check a file, convert it to the dialogues format, or generate synthetic dialogues",
    "backends": "list the memory backends with their presets and settings",
    "try-backend": "check in seconds that a memory does what a run relies on, and say what to change",
    "doctor": "check what is installed and what can be reached",
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
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
        say(f"engram-eval: {error}", err=True)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("engram-eval: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has stopped reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if options.debug:
            raise
        say(
            f"engram-eval: {type(error).__name__}: {error}; this is a bug in engram_eval, see the traceback with --debug",
            err=True,
        )
        return BAD_INPUT


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence, as for all other user errors."""
        say(f"engram-eval: {message}; see '{self.prog} --help'", err=True)
        self.exit(BAD_INPUT)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command that the first argument names. Only that command is imported."""
    parser = _Parser(
        prog="engram-eval",
        description="Measures memories for conversational agents on LoCoMo and LongMemEval: accuracy, context tokens, latency.",
        epilog="Exit codes: 0 done, 1 a gate failed, 2 bad input, 3 some questions errored, 130 interrupted and resumable.",
    )
    parser.add_argument("--version", action="version", version=f"engram-eval {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == next(iter(arguments), None):
            importlib.import_module(f"engram_eval.cli.{name.replace('-', '_')}").add(command)
    return parser.parse_args(arguments)
