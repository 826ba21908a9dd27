"""The experiment files of the ENGRAM paper: each runs, and prints the paper's rows beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engram_eval.cli.main import main
from engram_eval.datasets.synthetic import locomo_records, longmemeval_records, write_json_array
from engram_eval.run.settings import from_file, from_mapping
from tests.llm.server import Server
from tests.model import embeds, plays

pytestmark = pytest.mark.usefixtures("key")

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _locomo(folder: Path) -> Path:
    write_json_array(locomo_records(conversations=1, sessions=3, turns=24), folder / "data.json")
    return folder / "data.json"


def _longmemeval(folder: Path) -> Path:
    write_json_array(longmemeval_records(histories=2, sessions=3, tokens=900), folder / "data.json")
    return folder / "data.json"


def _result(file: str, data: Path, out: Path, *arguments: str) -> int:
    with Server(answer=embeds(plays(), dimensions=1536)) as server:
        flags = ["--data", str(data), "--base-url", server.url, "--out", str(out), "--limit", "8"]
        return main(["run", str(_BENCHMARKS / file), *flags, *arguments])


def _systems(markdown: str) -> list[str]:
    """The first column of the table of published figures."""
    table = markdown.partition("Compared with published figures")[2].partition("\n\n- ")[0]
    return [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        (
            "engram_locomo.toml",
            [
                ["ENGRAM", "engram:paper", "engram:batched"],
                ["full history", "full-history"],
                ["MemOS"],
                ["Mem0"],
                ["Zep"],
            ],
        ),
        (
            "engram_ablations.toml",
            [
                ["ENGRAM", "engram:paper"],
                ["ENGRAM, one untyped store", "engram:paper-untyped"],
                ["ENGRAM, episodic memories only", "engram:paper-episodic"],
                ["ENGRAM, semantic memories only", "engram:paper-semantic"],
                ["ENGRAM, procedural memories only", "engram:paper-procedural"],
                *([f"ENGRAM, K = {k}", f"paper K = {k}"] for k in (20, 30, 40, 60)),
            ],
        ),
        (
            "engram_longmemeval_s.toml",
            [["ENGRAM", "engram:paper", "engram:batched"], ["full history", "full-history"]],
        ),
    ],
)
def test_a_file_prints_the_papers_rows_beside_ours(
    file: str, rows: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _longmemeval(tmp_path) if "longmemeval" in file else _locomo(tmp_path)
    dataset = "longmemeval_s" if "longmemeval" in file else "locomo"
    assert _result(file, data, tmp_path / "run", "--dataset", dataset) == 0
    assert f"Compared with published figures: {dataset}" in capsys.readouterr().out
    assert main(["compare", str(tmp_path / "run"), "--published", "--format", "markdown"]) == 0
    printed = capsys.readouterr().out
    systems = _systems(printed)
    for row in rows:
        place = systems.index(row[0])
        assert systems[place : place + len(row)] == row
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert all(len(backend["votes"]["accuracy"]) == 3 for backend in summary["backends"].values())
    flat = " ".join(printed.split())
    assert "mean ± standard deviation over the 3 passes" in flat
    assert "engram:paper is not ENGRAM as published" not in flat  # its settings are the paper's
    assert "The paper leaves open, of ENGRAM: k = 25" in flat


@pytest.mark.parametrize("file", sorted(_BENCHMARKS.glob("engram_*.toml")), ids=lambda file: file.name)
def test_a_file_has_the_papers_configuration(file: Path) -> None:
    settings = from_mapping(from_file(file), str(file))
    assert (settings.reader, settings.judge, settings.judge_votes) == ("llm:engram", "llm", 3)
    assert (settings.model, settings.embedder) == ("gpt-4o-mini", "openai:text-embedding-3-small")
    assert settings.published
    assert settings.budget == 5000  # K limits a context, not the budget


def test_a_resumed_run_prints_the_published_figures_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = _locomo(tmp_path)
    assert _result("engram_locomo.toml", data, tmp_path / "run", "--dataset", "locomo", "--dry-run") == 0
    assert "published figures" not in capsys.readouterr().out
    assert _result("engram_locomo.toml", data, tmp_path / "run", "--dataset", "locomo") == 0
    capsys.readouterr()
    assert main(["run", "--resume", str(tmp_path / "run")]) == 0
    assert "Compared with published figures: locomo" in capsys.readouterr().out
