"""The judge probe in whole runs: it is opt-in, its result is printed under the table, and a repeated probe costs nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engram_eval.cli.main import main
from engram_eval.results.folder import RunFolder
from engram_eval.results.probe import ProbeResult, ProbeSummary
from tests.llm.server import Server
from tests.model import judges, plays

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "dialogues.json"
    assert main(["datasets", "generate", "--conversations", "1", "--out", str(path)]) == 0
    return path


def _run(data: Path, out: Path, server: Server, *arguments: str) -> int:
    llm = ["--judge", "llm", "--reader", "offline", "--model", "gpt-4o-mini", "--base-url", server.url]
    few = ["--backend", "bm25", "--no-controls", "--limit", "40", "--categories", "1,2,3,4"]
    return main(["run", "--data", str(data), *few, "--out", str(out), *llm, *arguments])


def _probe(run: Path) -> ProbeSummary:
    probe = RunFolder(run).manifest().probe
    assert probe is not None
    return probe


def test_a_judge_that_accepts_everything_is_reported(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yes = json.dumps({"reason": "fine", "verdict": "CORRECT"})
    with Server(answer=plays(judge=lambda _: yes)) as server:
        assert _run(data, tmp_path / "run", server, "--probe") == 0
    probe = _probe(tmp_path / "run")
    assert probe.false_accept.rate == 1.0
    assert probe.false_reject.rate == 0.0
    accepted = f"the judge accepted {probe.false_accept.count} of {probe.false_accept.n} wrong answers"
    assert f"Judge probe: {accepted}" in " ".join(capsys.readouterr().out.split())
    lines = (tmp_path / "run" / "probe.jsonl").read_bytes().splitlines()
    results = [ProbeResult.read(line, "probe.jsonl", "fix it") for line in lines]
    assert len(results) == probe.n
    assert {result.kind for result in results} == {"paraphrase", "vague", "corrupted", "adversarial"}


def test_a_judge_that_searches_for_the_gold_rejects_other_wording(data: Path, tmp_path: Path) -> None:
    with Server(answer=plays(judge=judges)) as server:
        assert _run(data, tmp_path / "run", server, "--probe") == 0
        sent = len(server.asked)
        assert _run(data, tmp_path / "again", server, "--probe") == 0
        assert len(server.asked) == sent
    assert _probe(tmp_path / "run") == _probe(tmp_path / "again")
    assert _probe(tmp_path / "run").false_reject.count > 0  # "7 May 2023" is not in "May 7th, 2023"


def test_a_note_reports_that_an_llm_judge_was_not_probed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(answer=plays()) as server:
        assert _run(data, tmp_path / "run", server) == 0
        assert len(server.asked) <= 40
        assert "The LLM judge was not measured in this run; --probe" in capsys.readouterr().out
        assert _run(data, tmp_path / "offline", server, "--judge", "offline", "--probe") == 0
        assert "was not measured" not in capsys.readouterr().out
    for name in ("run", "offline"):
        assert json.loads((tmp_path / name / "manifest.json").read_text())["probe"] is None
        assert not (tmp_path / name / "probe.jsonl").exists()


def test_a_dry_run_shows_the_cost_of_the_probe(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(answer=plays()) as server:
        assert _run(data, tmp_path / "run", server, "--dry-run", "--probe") == 0
        assert "(judge probe)" in capsys.readouterr().out
        assert _run(data, tmp_path / "run", server, "--dry-run") == 0
        assert "(judge probe)" not in capsys.readouterr().out
        assert not server.asked
