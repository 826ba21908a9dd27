"""`check`: checks a run against a baseline, for a person, a CI server and a pull request."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engram_eval.cli.command import DONE, GATE_FAILED, define
from engram_eval.cli.terminal import say
from engram_eval.errors import UserError

if TYPE_CHECKING:
    from engram_eval.gate import RuleResult


def add(parser: argparse.ArgumentParser) -> None:
    define(
        parser, _check,
        """check results/mine --baseline results/baselines/mine.json
check results/mine --baseline results/baselines/mine.json --rules benchmarks/check.toml --junit check.xml --markdown check.md
check results/mine --baseline results/baselines/mine.json --backend-map engram:dense=engram""",
    )  # fmt: skip
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="a run's folder")
    add("--baseline", type=Path, metavar="FILE.json", required=True, help="a file that 'engram-eval baseline' wrote")
    add("--rules", type=Path, metavar="FILE.toml", help="the rules and their margins (default: those that are printed)")
    add("--backend-map", action="append", default=[], metavar="NEW=BASE",
        help="check the run's backend NEW against the baseline's BASE; can be repeated")  # fmt: skip
    add("--junit", type=Path, metavar="FILE.xml", help="also write the result as JUnit XML, for a CI server")
    add("--markdown", type=Path, metavar="FILE.md", help="also write the result as Markdown, for a pull request")


def _check(options: argparse.Namespace) -> int:
    from engram_eval import gate
    from engram_eval.gate.text import conclusion, result_lines
    from engram_eval.results.folder import RunFolder

    title = f"{options.run} against {options.baseline}"
    try:
        names = _names(options.backend_map)
        before = gate.read_baseline(options.baseline)
        rules = gate.read_rules(options.rules) if options.rules else gate.default_rules(before)
        now = gate.scores(RunFolder(options.run), controls=True, latency=True)
        results = gate.check_rules(now, before, rules, names, seed=RunFolder(options.run).manifest().seed)
    except UserError as error:  # a CI server and a pull request need to see it too
        _write_files(options, [], [], title, str(error))
        raise
    notes = gate.notes(results, now, before, names)
    _write_files(options, results, notes, title)
    source = str(options.rules) if options.rules else f"default rules: {'; '.join(map(str, rules))}"
    say(f"Checked: {title} (of engram_eval {before.version}), by {source}")
    say("\n".join(result_lines(results)))
    for note in notes:
        say(note)
    say(conclusion(results))
    return GATE_FAILED if any(result.outcome == "FAILS" for result in results) else DONE


def _names(given: Sequence[str]) -> dict[str, str]:
    """The run's names of the baseline's backends."""
    names: dict[str, str] = {}
    for text in given:
        new, equals, base = text.rpartition("=")
        if not equals or not new or not base or base in names:
            raise UserError(f"--backend-map {text}: not of the form NEW=BASE, each BASE once, as in degraded=engram")
        names[base] = new
    return names


def _write_files(
    options: argparse.Namespace,
    results: Sequence[RuleResult],
    notes: Sequence[str],
    title: str,
    fault: str | None = None,
) -> None:
    from engram_eval import gate
    from engram_eval.gate.junit import to_junit
    from engram_eval.gate.markdown import to_markdown

    if options.junit:
        gate.write(options.junit, to_junit(results, title, fault))
    if options.markdown:
        gate.write(options.markdown, to_markdown(results, notes, title, fault).encode("utf-8", "replace"))
