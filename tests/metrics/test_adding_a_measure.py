"""A metric is added in two files: the measure in its own, and its name in `measures.py`. Everything else follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engram_eval.cli.main import main
from engram_eval.metrics import measures
from engram_eval.metrics.measure import Measure
from engram_eval.metrics.summary import summarise
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from tests.records import changed, manifest_json, run, write_run
from tests.records import record as new_record


def _short(record: Record) -> float | None:
    return float(len(record.answer.split()) <= 3) if record.answer is not None else None


SHORT_ANSWER = Measure(
    "short_answer", "short answer", _short, "{:.2f}".format, "high", "share", "answers",
    show_interval=True, unit="0 or 1", gate="difference",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if `measures.py` listed it."""
    monkeypatch.setattr(measures, "MEASURES", (*measures.MEASURES, SHORT_ANSWER))
    monkeypatch.chdir(tmp_path)


def _write_run(name: str, records: list[Record], questions: int) -> RunFolder:
    dataset = {**manifest_json()["dataset"], "questions": questions}
    backends = {"engram": manifest_json()["backends"]["engram"]}
    folder = write_run(Path(name), records, dataset=dataset, backends=backends)
    folder.write_summary(summarise(folder.records(), folder.manifest()))
    return folder


def test_it_is_in_the_summary_and_in_the_result_table(capsys: pytest.CaptureFixture[str]) -> None:
    folder = _write_run("mine", [record for record in run() if record.backend == "engram"], questions=4)
    engram = json.loads(folder.summary_path.read_text())["backends"]["engram"]
    assert engram["short_answer"] == 1.0
    assert engram["short_answer_ci"][0] < 1.0
    assert engram["by_category"]["single-hop"]["short_answer"] == 1.0
    assert main(["compare", "mine", "--format", "markdown"]) == 0
    heading, _, row = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")][:3]
    column = heading.split(" | ").index("short answer")
    assert row.split(" | ")[column] == "1.00"
    assert heading.split(" | ")[column + 1] == "95 % interval"


def test_a_rule_can_be_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    short = [
        new_record(conversation_id=f"c{i // 6}", question_id=f"q{i}", category="single-hop", answer="Lisbon")
        for i in range(36)
    ]
    _write_run("before", short, questions=36)
    _write_run("after", [changed(record, answer="I think that it was Lisbon") for record in short], questions=36)
    Path("rules.toml").write_text('[[rule]]\nmetric = "short_answer"\nmargin = 0.1\n')
    assert main(["baseline", "before", "-o", "base.json"]) == 0
    assert main(["check", "before", "--baseline", "base.json", "--rules", "rules.toml"]) == 0
    assert main(["check", "after", "--baseline", "base.json", "--rules", "rules.toml"]) == 1
    assert "FAILS  engram  short_answer  1.000 -> 0.000  -1.000" in capsys.readouterr().out
