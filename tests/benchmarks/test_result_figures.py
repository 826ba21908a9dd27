"""The result figures: the committed pictures show the committed numbers, and names in a chart do not overlap."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("vl_convert")

_ROOT = Path(__file__).parents[2]
_IMAGES = _ROOT / "docs" / "images"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture(autouse=True)
def _scripts_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(_ROOT / "benchmarks"))


def _assert_same_picture(drawn: str, committed: str) -> None:
    """Same elements and texts; positions may differ by a few pixels, as the fonts of machines do."""
    assert _NUMBER.sub("0", drawn) == _NUMBER.sub("0", committed)
    positions = [[float(number) for number in _NUMBER.findall(image)] for image in (drawn, committed)]
    assert positions[0] == pytest.approx(positions[1], abs=8)


@pytest.mark.parametrize("name", ["accuracy.svg", "evidence_recall.svg"])
def test_the_committed_figures_are_drawn_from_the_committed_numbers(name: str, tmp_path: Path) -> None:
    import draw_results

    (tmp_path / "results.json").write_bytes((_IMAGES / "results.json").read_bytes())
    assert draw_results.main(["--images", str(tmp_path), "draw"]) == 0
    _assert_same_picture((tmp_path / name).read_text("utf-8"), (_IMAGES / name).read_text("utf-8"))


def test_a_figure_names_every_backend_and_has_no_unresolved_colour() -> None:
    for name in ("accuracy.svg", "evidence_recall.svg"):
        image = (_IMAGES / name).read_text("utf-8")
        assert "var(--" not in image
        assert "prefers-color-scheme: dark" in image
        assert all(f">{backend}</text>" in image for backend in ("engram", "conditional", "bm25", "dense"))
    accuracy = (_IMAGES / "accuracy.svg").read_text("utf-8")
    assert ">full-history</text>" in accuracy
    assert ">oracle (control)</text>" in accuracy


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_names_are_spread_in_order_without_overlap(heights: list[float]) -> None:
    import results_charts

    placed = results_charts.spread(sorted(heights), gap=5, top=100)
    assert all(second - first >= 5 - 1e-9 for first, second in pairwise(placed))
    assert placed[-1] <= 100


def test_names_that_are_far_apart_stay_where_they_are() -> None:
    import results_charts

    assert results_charts.spread([10, 50, 90], gap=5, top=100) == [10, 50, 90]


def _finished_run(folder: Path, budget: int, sha256: str = "a") -> Path:
    measured: dict[str, Any] = {
        "context_limit": "budget", "control": False, "sees_evidence": False, "n": 3, "accuracy": 2 / 3,
        "accuracy_ci": [0.2, 0.9], "context_tokens": {"mean": 90.44}, "evidence_recall": 0.5,
        "evidence_recall_ci": [0.1, 0.8],
    }  # fmt: skip
    summary = {
        "complete": True,
        "dataset": {"name": "locomo", "sha256": sha256, "questions": 4},
        "reader": {"name": "offline"},
        "judge": {"name": "offline"},
        "backends": {"bm25": measured, "oracle": {**measured, "context_limit": "none", "sees_evidence": True}},
    }
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "manifest.json").write_text(json.dumps({"budget": budget}))
    records = [{"conversation_id": name} for name in ("conv-2", "conv-1", "conv-2")]
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def test_the_numbers_of_finished_runs_are_collected(tmp_path: Path) -> None:
    import draw_results

    runs = [_finished_run(tmp_path / str(budget), budget) for budget in (100, 200)]
    results = draw_results.collect(runs)
    assert results["conversations"] == ["conv-1", "conv-2"]
    assert (results["questions"], results["scored"]) == (4, 3)
    assert [(point["backend"], point["budget"], point["control"]) for point in results["points"]] == [
        ("bm25", 100, False), ("oracle", 100, True), ("bm25", 200, False), ("oracle", 200, True),
    ]  # fmt: skip
    assert results["points"][0]["accuracy"] == 0.6667


def test_runs_of_different_data_are_refused(tmp_path: Path) -> None:
    import draw_results

    runs = [_finished_run(tmp_path / "one", 100), _finished_run(tmp_path / "two", 200, sha256="b")]
    with pytest.raises(SystemExit, match=r"two: dataset, reader or judge differ from those of .*one"):
        draw_results.collect(runs)


def test_finished_runs_are_not_repeated(tmp_path: Path) -> None:
    import draw_results

    runs = [_finished_run(tmp_path / str(budget), budget) for budget in draw_results.BUDGETS]
    assert draw_results.measure(tmp_path / "no data needed", tmp_path) == runs
