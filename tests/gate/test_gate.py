"""The gate: what holds, what fails, and what is never taken for either (golden files: `REGOLD=1 pytest tests/test_gate.py`)."""

from __future__ import annotations

import argparse
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli import baseline, check
from engram_eval.errors import UserError
from engram_eval.gate import METRICS, baseline_json, read_baseline, read_rules, scores
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from tests.records import backend, changed, failed, manifest, manifest_json, record

_GOLDEN = Path(__file__).parents[1] / "golden"
_BACKENDS = {
    "none": backend(control=True),
    "engram": backend(),
    "full-history": backend(context_limit="window"),
    "degraded": backend(control=True),
}
_QUESTIONS = 60


def _records() -> list[Record]:
    """Six conversations of ten questions: engram is right in 40 of 54, degraded in 14; every tenth is adversarial."""
    made = []
    for label, of_ten in (("none", 0), ("engram", 7), ("full-history", 6), ("degraded", 2)):
        for i in range(_QUESTIONS):
            found = (i * 7) % 10 < of_ten and label != "none"
            adversarial = i % 10 == 9
            made.append(
                record(
                    backend=label,
                    conversation_id=f"c{i // 10}",
                    question_id=f"c{i // 10}:q{i % 10}",
                    category="adversarial" if adversarial else ("multi-hop", "single-hop")[i % 2],
                    unanswerable=adversarial,
                    correct=found,
                    evidence_recall=1.0 if found else 0.25,
                    evidence_all=found,
                    answer_in_context=None if adversarial else found,
                    context_tokens=16_000 if label == "full-history" else 900 + i % 5,
                    retrieval_s=0.001 * (1 + i % 3),
                    cost_usd=0.0001 * (1 + i % 2),
                    retrieved=["D1:1"] if found else ["D9:9"],
                )
            )
    return made


def _run(records: Iterable[Record] | None = None, name: str = "run", **changes: Any) -> Path:
    """A run in a folder of the current one."""
    of = {**manifest_json()["dataset"], "questions": _QUESTIONS, "conversations": 6}
    folder = RunFolder(Path(name))
    folder.create(manifest(**{"backends": _BACKENDS, "dataset": of, "engram_eval": "0.0.9", **changes}))
    with folder.appending() as writer:
        for item in _records() if records is None else records:
            writer.append(item)
    return folder.path


def _command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    check.add(commands)
    baseline.add(commands)
    options = parser.parse_args(arguments)
    code: int = options.command(options)
    return code


def _check(*arguments: str, run: str = "run") -> int:
    return _command("check", run, "--baseline", "base.json", *arguments)


def _but(change: Callable[[Record], dict[str, Any]], label: str = "engram") -> list[Record]:
    """The records with one backend's changed."""
    return [changed(item, **change(item)) if item.backend == label else item for item in _records()]


def _number(item: Record) -> int:
    conversation, _, question = item.question_id.partition(":q")
    return 10 * int(conversation[1:]) + int(question)


pytestmark = pytest.mark.usefixtures("base")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert _command("baseline", str(_run(name="before")), "-o", "base.json") == 0
    return Path("base.json")


def _rules(text: str) -> str:
    Path("rules.toml").write_text(text, "utf-8")
    return "--rules=rules.toml"


# --- the baseline -----------------------------------------------------------------------------------------------


def test_a_baseline_is_the_same_bytes_for_the_same_answers_however_long_they_took(base: Path) -> None:
    slower = [changed(item, retrieval_s=9.0, ingest_s=7.0) for item in reversed(_records())]
    assert _command("baseline", str(_run(slower)), "-o", "again.json") == 0
    assert Path("again.json").read_bytes() == base.read_bytes()


def test_a_baseline_holds_memories_a_line_a_question_and_no_controls(base: Path) -> None:
    text = base.read_text("utf-8")
    found = json.loads(text)
    assert list(found["backends"]) == ["engram", "full-history"]
    assert '"c0:q0": [1, 1, 1, 1, 1, 900, 0.0001],' in text.splitlines()
    assert '"c0:q9": [1, null, null, null, null, 904, 0.0002],' in text.splitlines()  # it has an evidence that baits
    assert '"c0:q0": [1, 1, 1, 1, null, 16000, 0.0001],' in text.splitlines()  # the full history does not rank
    assert len(text.splitlines()) < 3 * _QUESTIONS + 40
    assert "latency_s" not in found["columns"]


def test_a_baseline_reads_as_it_was_written(base: Path) -> None:
    now = scores(RunFolder(Path("before")), controls=False, latency=False)
    read = read_baseline(base)
    assert (read.lines, read.questions, read.experiment) == (now.lines, now.questions, now.experiment)
    assert baseline_json(read) == base.read_bytes()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "is not a baseline of this version"),
        (b"{}", "is not a baseline of this version"),
        (b'{"engram_eval": "0", "experiment": {}, "columns": [], "questions": {}, "backends": {}}', "does not say"),
    ],
)
def test_what_is_no_baseline_is_told(base: Path, content: bytes, what: str) -> None:
    base.write_bytes(content)
    with pytest.raises(UserError, match=what):
        read_baseline(base)


def test_a_baseline_that_was_cut_or_tampered_with_is_told(base: Path) -> None:
    whole = json.loads(base.read_text("utf-8"))
    changes: list[tuple[Callable[[Any], Any], str]] = [
        (lambda b: b["backends"]["engram"]["lines"].pop("c0:q0"), "engram has 59 of 60 questions"),
        (lambda b: b["backends"]["engram"]["lines"].update({"c0:q0": [1]}), "a line of scores is"),
        (lambda b: b["backends"]["engram"]["lines"].update({"c0:q0": ["1"] * 7}), "a line of scores is"),
        (lambda b: b.update(backends={}), "holds no scores"),
        (lambda b: b["experiment"].clear(), "does not say what was measured"),
    ]
    for change, what in changes:
        changed = json.loads(json.dumps(whole))
        change(changed)
        base.write_text(json.dumps(changed), "utf-8")
        with pytest.raises(UserError, match=what):
            read_baseline(base)
    with pytest.raises(UserError, match=r"nowhere\.json: cannot be read"):
        read_baseline(Path("nowhere.json"))


# --- holds and fails --------------------------------------------------------------------------------------------


def test_an_identical_rerun_holds_and_every_difference_is_exactly_0(capsys: pytest.CaptureFixture[str]) -> None:
    _run()
    assert (
        _check(_rules("".join(f'[[rule]]\nmetric = "{m}"\nmargin = 0\n' for m in METRICS if m != "latency_ratio"))) == 0
    )
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("holds")]
    assert len(lines) == 2 * (len(METRICS) - 1) - 1  # the full history has no nDCG
    assert all(line.count("+0.0") == 3 for line in lines)
    assert "Holds: none of 13 fails." in out


def test_degraded_held_against_engram_fails(capsys: pytest.CaptureFixture[str]) -> None:
    _run()
    assert _check("--backend-map", "degraded=engram") == 1
    out = capsys.readouterr().out
    assert "Regressed: 2 of 8 fail." in out
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("FAILS")] == [
        ["FAILS", "degraded", "accuracy"],
        ["FAILS", "degraded", "evidence_recall"],
    ]


@pytest.mark.parametrize(
    ("metric", "margin", "change"),
    [
        ("accuracy", "0.05", lambda i: {"correct": False} if _number(i) % 3 == 0 else {}),
        ("evidence_recall", "0.05", lambda i: {"evidence_recall": (i.evidence_recall or 0) / 2}),
        ("evidence_all", "0.05", lambda _: {"evidence_all": False}),
        ("answer_in_context", "0.05", lambda i: {"answer_in_context": False if i.answer_in_context else i.answer_in_context}),
        ("ndcg@10", "0.05", lambda i: {"retrieved": ["D8:8", *i.retrieved]}),
        ("context_tokens", '"5%"', lambda i: {"context_tokens": i.context_tokens + 60}),
        ("context_tokens", "50", lambda i: {"context_tokens": i.context_tokens + 60}),
        ("cost_usd", '"10%"', lambda i: {"cost_usd": i.cost_usd * 1.2}),
    ],
)  # fmt: skip
def test_a_regression_of_each_metric_fails_its_rule_and_the_other_way_round_holds(
    metric: str, margin: str, change: Callable[[Record], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    rules = _rules(f'[[rule]]\nmetric = "{metric}"\nbackend = "engram"\nmargin = {margin}')
    assert _check(rules, run=str(_run(_but(change), "worse"))) == 1
    assert _command("baseline", "worse", "-o", "base.json") == 0
    capsys.readouterr()
    assert _check(rules, run="before") == 0
    assert "Better than the baseline by more than the margin: engram;" in capsys.readouterr().out


def test_latency_is_held_as_a_ratio_if_the_baseline_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    rules = _rules('[[rule]]\nmetric = "latency_ratio"\nbackend = "engram"\nmargin = 0.5')
    slow = _run(_but(lambda i: {"retrieval_s": 2 * (i.retrieval_s or 0), "answer_s": 2 * (i.answer_s or 0)}))
    with pytest.raises(UserError, match="holds no latency_ratio of engram; write it with --with-latency"):
        _check(rules, run=str(slow))
    assert _command("baseline", "before", "-o", "base.json", "--with-latency") == 0
    assert _check(rules, run="before") == 0
    assert _check(rules, run=str(slow)) == 1
    assert "+100.0%" in capsys.readouterr().out


def test_what_is_worse_but_not_surely_so_does_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    _run(_but(lambda i: {"correct": i.correct and _number(i) != 0}))
    assert _check(_rules('[[rule]]\nmetric = "accuracy"\nmargin = 0.01')) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].startswith("cannot tell  engram")
    assert "Holds: none of 2 fails; 1 cannot tell." in out


def test_a_rule_of_a_category_is_about_its_questions_alone() -> None:
    _run(_but(lambda i: {"correct": False} if i.category == "adversarial" else {}))
    rule = '[[rule]]\nmetric = "accuracy"\nmargin = 0.1\n'
    assert _check(_rules(rule)) == 0  # not of the headline
    assert _check(_rules(rule + 'category = "multi-hop"')) == 0
    assert _check(_rules(rule + 'category = "adversarial"')) == 1


def test_settings_that_changed_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    _run(backends={**_BACKENDS, "engram": {**backend(), "settings": {"k": 9}}})
    assert _check() == 0
    assert "engram: its settings differ from the baseline's (k was None and is 9)." in capsys.readouterr().out


# --- cannot compare ---------------------------------------------------------------------------------------------


def test_an_empty_run_never_holds() -> None:
    _run([])
    with pytest.raises(UserError, match="run: holds no answers"):
        _check()
    with pytest.raises(UserError, match="run: holds no answers"):
        _command("baseline", "run", "-o", "new.json")
    _run([], "nothing", dataset={**manifest_json()["dataset"], "questions": 0})
    with pytest.raises(UserError, match="nothing: holds no answers"):
        _check(run="nothing")


def test_a_partial_run_never_holds() -> None:
    _run(_records()[:100])
    with pytest.raises(UserError, match="run: is not finished, engram has 40 of 60 questions; finish it"):
        _check()


def test_a_torn_run_never_holds() -> None:
    path = _run() / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="run: is not finished, degraded has 59 of 60 questions"):
        _check()


def test_questions_that_errored_beyond_the_baselines_never_hold() -> None:
    def errors(*numbers: int) -> list[Record]:
        fields = ("backend", "conversation_id", "question_id", "category", "unanswerable")
        return [
            failed(**{name: getattr(item, name) for name in fields})
            if item.backend == "engram" and _number(item) in numbers
            else item
            for item in _records()
        ]

    _run(errors(3, 4))
    with pytest.raises(UserError, match=r"2 questions of engram ended in an error and not in the baseline \(c0:q3 …\)"):
        _check()
    with pytest.raises(UserError, match=r"2 answers ended in an error, and a baseline without them would hold less"):
        _command("baseline", "run", "-o", "base.json")
    assert _command("baseline", "run", "-o", "base.json", "--allow-errors") == 0
    assert _check() == 0
    assert _check(run="before") == 0
    with pytest.raises(UserError, match=r"1 question of engram ended in an error and not in the baseline \(c0:q5\)"):
        _check(run=str(_run(errors(3, 4, 5), "more")))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"budget": 500}, "the budget differs (run: 500, base.json: 916)"),
        ({"reader": {"name": "llm", "model": "m", "window": 128_000}}, "the reader differs"),
        ({"judge": {"name": "llm", "model": "m", "agreement": ""}}, "the judge differs"),
        ({"embedder": {"name": "openai:x", "dimensions": 9}}, "the embedder differs"),
        ({"dataset": {**manifest_json()["dataset"], "sha256": "cd", "questions": _QUESTIONS}}, "the dataset differs"),
    ],
)
def test_an_unlike_run_never_holds(changes: dict[str, Any], what: str) -> None:
    _run(**changes)
    with pytest.raises(UserError) as refused:
        _check()
    assert what in str(refused.value)


def test_other_questions_never_hold() -> None:
    _run([changed(item, question_id=item.question_id.replace("c5", "d5")) for item in _records()])
    with pytest.raises(UserError, match="50 of 60 questions of the baseline are among the run's 60"):
        _check()


def test_a_backend_or_a_metric_that_is_gone_never_holds() -> None:
    _run(
        [i for i in _records() if i.backend != "engram"], backends={k: v for k, v in _BACKENDS.items() if k != "engram"}
    )
    with pytest.raises(UserError, match="run: has no backend 'engram', which base"):
        _check()
    assert _check("--backend-map", "degraded=engram") == 1
    with pytest.raises(UserError, match="blind holds no evidence_recall of engram at c0:q0"):
        _check(run=str(_run(_but(lambda _: {"evidence_recall": None}), "blind")))


@pytest.mark.parametrize("text", ["degraded", "=engram", "degraded=", "a=engram"])
def test_a_map_that_names_nothing_is_told(text: str) -> None:
    _run()
    with pytest.raises(UserError, match=f"--backend-map {text}: "):
        _check("--backend-map", text)
    with pytest.raises(UserError, match="has no 'other'; it has engram, full-history"):
        _check("--backend-map", "degraded=other")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds no rules"),
        ("rule = 3", "holds no rules"),
        ("[[rule", "is not TOML"),
        ("x = 1\n[[rule]]\nmetric = 'accuracy'\nmargin = 0", "or more than rules"),
        ("[[rule]]\nmetric = 'accuracy'\nmargn = 1", "rule 1: a rule has no margn; its keys are metric, backend"),
        ("[[rule]]\nmetric = 'acuracy'\nmargin = 1", "rule 1: metric = 'acuracy' is none of accuracy, "),
        ("[[rule]]\nmetric = ['accuracy']\nmargin = 1", "rule 1: metric = "),
        ("[[rule]]\nmetric = 'accuracy'", "rule 1: margin = None is not a number from 0"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = -0.1", "rule 1: margin = -0.1 is not"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = nan", "rule 1: margin = nan is not"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = '5'", "rule 1: margin = '5' is not"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = true", "rule 1: margin = True is not"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = 0\nbackend = 3", "rule 1: backend = 3 is not text"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = 0\nbackend = 'x'", "rule 1: base.json has no backend 'x'"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = 0\ncategory = 'x'", "rule 1: category = 'x' is none of multi-hop"),
        ("[[rule]]\nmetric = 'ndcg@10'\nmargin = 0\nbackend = 'full-history'", "holds no ndcg@10 of full-history"),
        (
            "[[rule]]\nmetric = 'ndcg@10'\nmargin = 0\ncategory = 'adversarial'",
            "no question of adversarial has a ndcg@10",
        ),
    ],
)
def test_a_rule_that_is_not_understood_is_told_with_its_number(text: str, what: str) -> None:
    with pytest.raises(UserError) as refused:
        _check(_rules(text), run="before")
    assert what in str(refused.value)


def test_the_projects_own_rules_are_understood() -> None:
    rules = read_rules(Path(__file__).parents[2] / "benchmarks" / "check.toml")
    assert {rule.backend for rule in rules} == {"engram", "bm25", "dense", "full-history"}


# --- what is written --------------------------------------------------------------------------------------------


def _held_in_every_way() -> None:
    """One rule that holds, one that fails, and one that cannot tell."""
    _run(_but(lambda i: {"evidence_recall": (i.evidence_recall or 0) / 2, "correct": i.correct and _number(i) != 0}))
    rule = '[[rule]]\nbackend = "engram"\nmetric = '
    each = (
        '"context_tokens"\nmargin = "5%"',
        '"evidence_recall"\nmargin = 0.02',
        '"accuracy"\nmargin = 0\ncategory = "multi-hop"',
    )
    rules = _rules("\n".join(rule + one for one in each))
    assert _check(rules, "--junit", "out/check.xml", "--markdown", "out/check.md") == 1


@pytest.mark.parametrize("name", ["check.txt", "check.md"])
def test_what_a_person_and_a_pull_request_read(base: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    _held_in_every_way()
    shown = capsys.readouterr().out if name == "check.txt" else Path("out/check.md").read_text("utf-8")
    shown = shown.replace("engram_eval " + json.loads(base.read_text())["engram_eval"], "engram_eval VERSION")
    if os.environ.get("REGOLD"):
        (_GOLDEN / name).write_text(shown, "utf-8")
    assert shown == (_GOLDEN / name).read_text("utf-8")


def test_junit_has_a_case_a_line_and_a_failure_where_one_fails() -> None:
    _held_in_every_way()
    root = ET.parse("out/check.xml").getroot()
    assert (root.tag, root.attrib) == ("testsuites", {"tests": "3", "failures": "1", "errors": "0"})
    cases = root.findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == ["context_tokens", "evidence_recall", "accuracy of multi-hop"]
    assert [case.find("failure") is not None for case in cases] == [False, True, False]
    assert "cannot tell" in (cases[2].findtext("system-out") or "")


def test_what_cannot_be_compared_is_an_error_in_both_files() -> None:
    _run([])
    with pytest.raises(UserError):
        _check("--junit", "check.xml", "--markdown", "check.md")
    error = ET.parse("check.xml").getroot().find("testsuite/testcase/error")
    assert error is not None
    assert "holds no answers" in (error.get("message") or "")
    assert "Cannot compare: `run: holds no answers" in Path("check.md").read_text("utf-8")


def test_hostile_names_are_data_in_every_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = '<script>alert("1")</script>|`@all`](x)\x1b[31m\x00\u202e\n# ]]>&amp;\udc80'
    records = [changed(item, backend=name) for item in _records() if item.backend == "engram"]
    _run(records, backends={name: backend()})
    assert _command("baseline", "run", "-o", "base.json") == 0
    capsys.readouterr()
    assert _check("--junit", "check.xml", "--markdown", "check.md") == 0
    assert read_baseline(Path("base.json")).lines.keys() == {name}
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 2 + 4 + 0  # the head, a line a rule, the verdict
    case = ET.parse("check.xml").getroot().find("testsuite/testcase")
    assert case is not None
    assert '<script>alert("1")</script>|`@all`' in (case.get("classname") or "")
    page = Path("check.md").read_text("utf-8")
    row = next(line for line in page.splitlines() if "script" in line)
    assert "`<script>alert(\"1\")</script>\\|'@all'](x)" in row
    assert row.replace("\\|", "").count("|") == 8
    for text in (shown, page, Path("check.xml").read_text("utf-8")):
        assert not set(text) & {"\x1b", "\x00", "\u202e", "\udc80"}


def test_a_file_that_cannot_be_written_is_told() -> None:
    with pytest.raises(UserError, match="cannot be written"):
        _command("baseline", "before", "-o", "base.json/x.json")


def test_a_baseline_that_does_not_say_what_it_is_of_holds_nothing() -> None:
    """Cut down by hand, or with its scores emptied, it must never let a run pass."""
    _run(_records())
    assert _command("baseline", "run", "-o", "base.json") == 0
    whole = json.loads(Path("base.json").read_text())
    for part in whole["experiment"]:
        spoilt = {**whole, "experiment": {name: value for name, value in whole["experiment"].items() if name != part}}
        Path("base.json").write_text(json.dumps(spoilt))
        with pytest.raises(UserError, match="is not a baseline of this version"):
            _check()
    Path("base.json").write_text(json.dumps({**whole, "experiment": {**whole["experiment"], "judge": None}}))
    with pytest.raises(UserError, match="the judge differs"):
        _check()
    engram = whole["backends"]["engram"]
    for line, said in (
        (None, "engram has no answered question"),
        ([7] + [0] * (len(whole["columns"]) - 1), "a line of scores"),
    ):
        lines = {"engram": {**engram, "lines": dict.fromkeys(engram["lines"], line)}}
        Path("base.json").write_text(json.dumps({**whole, "backends": {**whole["backends"], **lines}}))
        with pytest.raises(UserError, match=said):
            _check()
    Path("base.json").write_text(json.dumps(whole))
    assert _check() == 0


def test_a_margin_in_points_for_a_share_is_refused(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nmetric = "accuracy"\nmargin = 2\n')
    with pytest.raises(UserError, match="lets everything pass"):
        read_rules(rules)
