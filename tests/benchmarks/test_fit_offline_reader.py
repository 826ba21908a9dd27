"""The script that fits the offline reader's weights runs, finds known weights, and compares them with the committed ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import engram_eval as ee
from engram_eval.readers.offline.matching import Weights
from engram_eval.readers.offline.passages import read_passages
from engram_eval.readers.offline.question_analysis import analyse_question
from engram_eval.results.folder import RunFolder
from tests.records import manifest


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


def test_the_fit_finds_the_weights_that_the_evidence_was_drawn_with() -> None:
    from fit_offline_reader import FITTED, Case, fit

    true = np.array([4.0, 2.0, 1.2, 1.6, 2.0])
    draw = np.random.default_rng(0)
    cases = []
    for _ in range(1_500):
        parts = draw.random((12, len(true)))
        drawn = np.argmax(parts @ true + draw.gumbel(size=12))
        cases.append(Case("conv", parts, np.eye(12)[drawn]))
    fitted = fit(cases)
    assert [getattr(fitted, part) for part in FITTED] == pytest.approx(true[1:] / true[0], abs=0.12)
    assert replace(fitted, **{part: getattr(Weights(), part) for part in FITTED}) == Weights()


def test_a_part_says_where_a_word_of_the_question_is() -> None:
    from fit_offline_reader import FITTED, passage_parts

    context = read_passages("[8 May 2023]\nAnn: What did you bake?\nBob: Bread.\nAnn: Nice.\nAnn: Cool.\n")
    parts = passage_parts(analyse_question("What did Bob bake?", context.speakers), context)
    present = [[part for part, value in zip(("turn", *FITTED), row, strict=True) if value > 0.02] for row in parts]
    assert present == [["turn"], ["turn_before", "subject", "reply"], ["nearby"], []]


def test_the_script_prints_the_committed_weights_and_accuracies_without_the_measured_conversation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fit_offline_reader

    run = tmp_path / "916"
    ee.evaluate(
        dataset="synthetic",
        backends=["engram", "bm25"],
        options={"dataset.conversations": "2", "dataset.turns": "60"},
        reader="offline",
        judge="offline",
        embedder="static",
        controls=False,
        limit=20,
        budget=916,
        out=run,
    )
    assert fit_offline_reader.main([str(run)]) == 0
    printed = capsys.readouterr().out.splitlines()
    committed = "".join(f"{getattr(Weights(), part):>12.2f}" for part in fit_offline_reader.FITTED)
    assert [line for line in printed if line.endswith(committed)] == [f"{'committed':24}{committed}"]
    assert [line.split()[2] for line in printed if line.startswith("fitted without")] == ["synthetic-0", "synthetic-1"]
    assert [line[:31].split("  ")[0] for line in printed if "points" in line] == ["committed", "conversation left out"]


def test_a_run_at_another_budget_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import fit_offline_reader

    RunFolder(tmp_path / "100").create(manifest(budget=100))
    with pytest.raises(SystemExit, match="2"):
        fit_offline_reader.main([str(tmp_path / "100")])
    assert "a budget of 916" in capsys.readouterr().err
