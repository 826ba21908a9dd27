"""The script that measures the reader reads recorded contexts again, whatever the run's own answers were."""

from __future__ import annotations

from pathlib import Path

import pytest

from engram_eval.results.folder import RunFolder
from tests.records import manifest, record

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _run(path: Path, budget: int, contexts: dict[str, str]) -> Path:
    folder = RunFolder(path)
    folder.create(manifest(budget=budget))
    with folder.appending() as writer:
        for backend, context in contexts.items():
            recall = float("Lisbon" in context)
            key = writer.contexts.put(context)
            writer.append(
                record(
                    backend=backend,
                    question="Where does Ann live?",
                    answer="wrong",
                    correct=False,
                    context=key,
                    evidence_recall=recall,
                )
            )
    return path


def test_the_present_reader_answers_from_recorded_contexts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(_BENCHMARKS))
    import measure_reader

    good, bad = "[8 May 2023]\nAnn: I live in Lisbon.", "[8 May 2023]\nAnn: I live in a house."
    runs = [
        _run(tmp_path / "a", 100, {"engram": good, "bm25": bad}),
        _run(tmp_path / "b", 200, {"engram": good, "bm25": good}),
    ]
    assert measure_reader.main([str(run) for run in runs]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[:4] for line in printed.splitlines()[1:5]] == [
        ["engram", "100", "1.000", "100.0"],
        ["bm25", "100", "0.000", "0.0"],
        ["engram", "200", "1.000", "100.0"],
        ["bm25", "200", "1.000", "100.0"],
    ]
    assert "engram : bm25 at 100: +100.0 points" in printed
    assert "over 4 rows: 1.00" in printed
