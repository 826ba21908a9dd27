"""The result of a check as JUnit XML, for a CI server."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from engram_eval.gate.rule_result import RuleResult
from engram_eval.gate.text import plain, result_cells, result_lines


def to_junit(results: Sequence[RuleResult], title: str, fault: str | None = None) -> bytes:
    """One test case per rule and backend. `fault`: why nothing could be compared, as an error."""
    failed = sum(result.outcome == "FAILS" for result in results)
    counts = {"tests": str(len(results) or 1), "failures": str(failed), "errors": str(int(fault is not None))}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": plain(f"engram-eval check: {title}"), **counts})
    if fault is not None:
        case = ET.SubElement(suite, "testcase", {"classname": "engram-eval.check", "name": "compares"})
        ET.SubElement(case, "error", {"message": plain(fault)})
    for result, line in zip(results, result_lines(results) if results else [], strict=True):
        _, backend, rule, *figures = result_cells(result)
        case = ET.SubElement(suite, "testcase", {"classname": f"engram-eval.check.{backend}", "name": rule})
        if result.outcome == "FAILS":
            ET.SubElement(case, "failure", {"message": ", ".join(figures)}).text = line
        else:
            ET.SubElement(case, "system-out").text = line
    ET.indent(root)
    whole: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return whole + b"\n"
