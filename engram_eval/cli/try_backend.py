"""`try-backend`: tries a memory out on small synthetic dialogues."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING

from engram_eval.cli.command import DONE, GATE_FAILED, define
from engram_eval.cli.terminal import say

if TYPE_CHECKING:
    from engram_eval.conformance.check import Outcome

_DETAILS = """Each check prints one line: "holds", "FAILS" with what was seen and what to change, or "not applicable" with the
reason. The exit code is 0 if none fails, else 1. The memory runs in a process of its own, without connections beyond this
machine: a memory that hangs or crashes fails the check at hand, and the others go on."""


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _try,
        """try-backend bm25
try-backend my_memory:MyBackend
try-backend my_memory:MyBackend --set MyBackend.k=5 --check budget --check sources
try-backend my_memory:MyBackend --online --timeout 300
try-backend engram:llm --model qwen3 --base-url http://localhost:11434/v1""",
        _DETAILS,
    )  # fmt: skip
    add = parser.add_argument
    add("backend", metavar="NAME", help="the backend: NAME, NAME:PRESET or package.module:Class")
    add("--check", action="append", default=[], metavar="NAME", help="run only this check; can be repeated")
    add("--set", action="append", default=[], dest="options", metavar="NAME.KEY=VALUE",
        help="a setting of the backend; can be repeated")  # fmt: skip
    add("--timeout", type=_seconds, default=60.0, metavar="SECONDS",
        help="the time that one call of a method may take (default: 60)")  # fmt: skip
    add("--online", action="store_true", help="allow connections beyond this machine, for a memory that is a service")
    add("--model", metavar="NAME", help="the model that the memory asks through services.llm, if it asks one")
    add("--base-url", metavar="URL", help="the model's server (default: OPENAI_BASE_URL, else OpenAI)")


def _try(options: argparse.Namespace) -> int:
    from engram_eval.conformance import Supervisor

    results: Counter[str] = Counter()
    with Supervisor(
        options.backend,
        options=options.options,
        timeout_s=options.timeout,
        online=options.online,
        model=options.model,
        base_url=options.base_url,
        show_output=options.debug,
    ) as supervisor:
        for outcome in supervisor.outcomes(options.check):
            say(outcome_line(outcome))
            sys.stdout.flush()  # a line as soon as it is known, also in a CI log
            results[outcome.result] += 1
    counts = (
        (results["holds"], "check holds", "checks hold"),
        (results["FAILS"], "fails", "fail"),
        (results["not applicable"], "is not applicable", "are not applicable"),
    )
    say("\n" + ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count) + ".")
    return GATE_FAILED if results["FAILS"] else DONE


def outcome_line(outcome: Outcome) -> str:
    return f"{outcome.result:14}  {outcome.name:19}  {' '.join(outcome.text.splitlines())}"


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


_seconds.__name__ = "number of seconds"  # argparse names the type in its message
