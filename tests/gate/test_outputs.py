"""What a check prints and writes: lines, Markdown and JUnit XML (`REGOLD=1 pytest tests/gate` writes the golden files)."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from engram_eval.errors import UserError
from engram_eval.gate import read_baseline
from tests.gate.runs import command, number_of, records, run_check, with_changes, write_rules, write_run
from tests.records import backend, changed

_GOLDEN = Path(__file__).parents[1] / "golden"


def _check_with_every_outcome() -> None:
    """One rule that holds, one that fails, and one that cannot tell."""
    write_run(
        with_changes(
            lambda i: {"evidence_recall": (i.evidence_recall or 0) / 2, "correct": i.correct and number_of(i) != 0}
        )
    )
    rules = (
        '"context_tokens"\nmargin = "5%"',
        '"evidence_recall"\nmargin = 0.02',
        '"accuracy"\nmargin = 0\ncategory = "multi-hop"',
    )
    flag = write_rules("\n".join(f'[[rule]]\nbackend = "engram"\nmetric = {rule}' for rule in rules))
    assert run_check(flag, "--junit", "out/check.xml", "--markdown", "out/check.md") == 1


@pytest.mark.parametrize("name", ["check.txt", "check.md"])
def test_a_check_as_a_person_and_a_pull_request_see_it(
    base: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _check_with_every_outcome()
    output = capsys.readouterr().out if name == "check.txt" else Path("out/check.md").read_text("utf-8")
    output = output.replace("engram_eval " + json.loads(base.read_text())["engram_eval"], "engram_eval VERSION")
    if os.environ.get("REGOLD"):
        (_GOLDEN / name).write_text(output, "utf-8")
    assert output == (_GOLDEN / name).read_text("utf-8")


def test_junit_has_a_case_per_rule_and_backend_and_a_failure_for_each_that_fails() -> None:
    _check_with_every_outcome()
    root = ET.parse("out/check.xml").getroot()
    assert (root.tag, root.attrib) == ("testsuites", {"tests": "3", "failures": "1", "errors": "0"})
    cases = root.findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == ["context_tokens", "evidence_recall", "accuracy of multi-hop"]
    assert [case.find("failure") is not None for case in cases] == [False, True, False]
    assert "cannot tell" in (cases[2].findtext("system-out") or "")


def test_a_run_that_cannot_be_compared_is_an_error_in_both_files() -> None:
    write_run([])
    with pytest.raises(UserError):
        run_check("--junit", "check.xml", "--markdown", "check.md")
    error = ET.parse("check.xml").getroot().find("testsuite/testcase/error")
    assert error is not None
    assert "holds no answers" in (error.get("message") or "")
    assert "Cannot compare: `run: holds no answers" in Path("check.md").read_text("utf-8")


def test_hostile_names_are_data_in_every_output(capsys: pytest.CaptureFixture[str]) -> None:
    name = '<script>alert("1")</script>|`@all`](x)\x1b[31m\x00\u202e\n# ]]>&amp;\udc80'
    hostile = [changed(item, backend=name) for item in records() if item.backend == "engram"]
    write_run(hostile, backends={name: backend()})
    assert command("baseline", "run", "-o", "base.json") == 0
    capsys.readouterr()
    assert run_check("--junit", "check.xml", "--markdown", "check.md") == 0
    # half of a surrogate pair is written as its escape, everything else is kept
    assert read_baseline(Path("base.json")).lines.keys() == {name.replace("\udc80", "\\udc80")}
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2 + 4  # the heading, one line per rule, the verdict
    case = ET.parse("check.xml").getroot().find("testsuite/testcase")
    assert case is not None
    assert '<script>alert("1")</script>|`@all`' in (case.get("classname") or "")
    page = Path("check.md").read_text("utf-8")
    row = next(line for line in page.splitlines() if "script" in line)
    assert "`<script>alert(\"1\")</script>\\|'@all'](x)" in row
    assert row.replace("\\|", "").count("|") == 8
    for text in (out, page, Path("check.xml").read_text("utf-8")):
        assert not set(text) & {"\x1b", "\x00", "\u202e", "\udc80"}
