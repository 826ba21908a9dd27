"""`check`: holds a run against a baseline, and tells a person, a CI server and a pull request."""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_eval.cli.command import DONE, GATE_FAILED, command
from engram_eval.errors import UserError

if TYPE_CHECKING:
    from engram_eval.gate import RuleResult


def add(commands: Any) -> None:
    parser = command(
        commands, "check", _check, "hold a run against a baseline: exit 0 holds, 1 regressed, 2 cannot compare",
        """check results/mine --baseline results/baselines/mine.json
check results/mine --baseline results/baselines/mine.json --rules benchmarks/check.toml --junit check.xml --markdown check.md
check results/mine --baseline results/baselines/mine.json --backend-map engram:dense=engram""",
    )  # fmt: skip
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="a run's folder")
    add("--baseline", type=Path, metavar="FILE.json", required=True, help="what 'engram-eval baseline' wrote")
    add("--rules", type=Path, metavar="FILE.toml", help="what is held, and by which margin (what is printed)")
    add("--backend-map", action="append", default=[], metavar="NEW=BASE", help="hold the run's backend NEW against the "
        "baseline's BASE; may be repeated")  # fmt: skip
    add("--junit", type=Path, metavar="FILE.xml", help="write the result as JUnit XML too, for a CI server")
    add("--markdown", type=Path, metavar="FILE.md", help="write the result as Markdown too, for a pull request")


def _check(options: argparse.Namespace) -> int:
    from engram_eval import gate
    from engram_eval.results.folder import RunFolder

    title = f"{options.run} against {options.baseline}"
    try:
        names = _names(options.backend_map)
        before = gate.read_baseline(options.baseline)
        rules = gate.read_rules(options.rules) if options.rules else gate.default_rules(before)
        now = gate.scores(RunFolder(options.run), controls=True, latency=True)
        findings = gate.check_rules(now, before, rules, names, seed=RunFolder(options.run).manifest().seed)
    except UserError as error:  # a CI server and a pull request are told as well
        _write(options, junit([], title, str(error)), markdown([], [], title, str(error)))
        raise
    said = gate.notes(findings, now, before, names)
    _write(options, junit(findings, title), markdown(findings, said, title))
    by = str(options.rules) if options.rules else f"default rules: {'; '.join(map(str, rules))}"
    print(plain(f"Held: {title} (of engram_eval {before.version}), by {by}"))
    print("\n".join(lines(findings)))
    for remark in said:
        print(plain(remark))
    print(verdict(findings))
    return GATE_FAILED if any(finding.outcome == "FAILS" for finding in findings) else DONE


def _names(given: Sequence[str]) -> dict[str, str]:
    """The run's names of the baseline's backends."""
    names: dict[str, str] = {}
    for text in given:
        new, equals, base = text.rpartition("=")
        if not equals or not new or not base or base in names:
            raise UserError(f"--backend-map {text}: not of the form NEW=BASE, each BASE once, as in degraded=engram")
        names[base] = new
    return names


def _write(options: argparse.Namespace, xml: bytes, text: str) -> None:
    from engram_eval.gate import write

    for path, content in ((options.junit, xml), (options.markdown, text.encode("utf-8", "replace"))):
        if path:
            write(path, content)


# --- for a person -----------------------------------------------------------------------------------------------


def lines(findings: Sequence[RuleResult]) -> list[str]:
    """One a rule and backend, in columns."""
    rows = [_cells(finding) for finding in findings]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]  # fmt: skip


def _cells(finding: RuleResult) -> tuple[str, ...]:
    metric, found = finding.rule.metric, finding.difference
    interval = " to ".join(map(metric.show_difference, found.interval)) if found.interval else "no interval"
    of = f" of {finding.rule.category}" if finding.rule.category is not None else ""
    return (
        finding.outcome,
        plain(finding.backend),
        plain(f"{metric.name}{of}"),
        f"{metric.show(finding.before)} -> {metric.show(finding.now)}",
        f"{metric.show_difference(found.mean)} ({interval})",
        f"margin {metric.show_difference(finding.margin).lstrip('+')}",
        f"n {found.n:,}",
    )


def verdict(findings: Sequence[RuleResult]) -> str:
    count = Counter(finding.outcome for finding in findings)
    if count["FAILS"]:
        return f"Regressed: {count['FAILS']:,} of {len(findings):,} fail."
    unsure = f"; {count['cannot tell']:,} cannot tell" if count["cannot tell"] else ""
    return f"Holds: none of {len(findings):,} fails{unsure}."


def plain(text: str) -> str:
    """A backend's or category's name is data: no control character of it reaches a terminal, an XML file or a page."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


# --- for a CI server --------------------------------------------------------------------------------------------


def junit(findings: Sequence[RuleResult], title: str, fault: str | None = None) -> bytes:
    """JUnit XML: a test case a rule and backend; `fault`: why nothing could be compared, as an error."""
    failed = sum(finding.outcome == "FAILS" for finding in findings)
    counts = {"tests": str(len(findings) or 1), "failures": str(failed), "errors": str(int(fault is not None))}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": plain(f"engram-eval check: {title}"), **counts})
    if fault is not None:
        case = ET.SubElement(suite, "testcase", {"classname": "engram-eval.check", "name": "compares"})
        ET.SubElement(case, "error", {"message": plain(fault)})
    for finding, line in zip(findings, lines(findings) if findings else [], strict=True):
        _, backend, rule, *figures = _cells(finding)
        case = ET.SubElement(suite, "testcase", {"classname": f"engram-eval.check.{backend}", "name": rule})
        if finding.outcome == "FAILS":
            ET.SubElement(case, "failure", {"message": ", ".join(figures)}).text = line
        else:
            ET.SubElement(case, "system-out").text = line
    ET.indent(root)
    whole: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return whole + b"\n"


# --- for a pull request -----------------------------------------------------------------------------------------


def markdown(findings: Sequence[RuleResult], said: Sequence[str], title: str, fault: str | None = None) -> str:
    headline = f"Cannot compare: {_quoted(fault)}" if fault is not None else verdict(findings)
    out = ["### engram-eval check", "", headline, "", _quoted(title), ""]
    if findings:
        out += ["| | backend | metric | baseline → run | difference (95 % interval) | margin | n |"]
        out += ["|---|---|---|--:|--:|--:|--:|"]
    for finding in findings:
        outcome, backend, rule, means, change, margin, n = _cells(finding)
        mark = f"**{outcome}**" if outcome == "FAILS" else outcome
        figures = (means.replace(" -> ", " → "), change, margin.removeprefix("margin "), n.removeprefix("n "))
        out.append(f"| {mark} | {_quoted(backend)} | {_quoted(rule)} | {' | '.join(figures)} |")
    return "\n".join([*out, *([""] if findings else []), *(f"- {_quoted(remark)}" for remark in said)]).rstrip() + "\n"


def _quoted(text: str) -> str:
    """As code, in which nothing is markup, a link or a mention."""
    return "`" + plain(text).replace("`", "'").replace("|", "\\|") + "`"
