"""The scaling bench runs, its page can be rebuilt without measuring, and crossing points are where lines cross."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engram_eval.backends.engram.vector_search import faiss_installed

_PERF = Path(__file__).parents[2] / "benchmarks" / "perf"
_BACKENDS = ["conditional", "bm25", "engram dense exact", "engram"]
if faiss_installed():
    _BACKENDS.insert(3, "engram dense approximate")


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(_PERF))
    return importlib.import_module("scaling")


def test_measuring_a_thousand_turns_writes_table_plot_and_page(
    scaling: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(*arguments: str | Path) -> str:
        monkeypatch.setattr("sys.argv", ["scaling.py", *map(str, arguments)])
        scaling.main()
        return capsys.readouterr().out

    def step(name: str, backend: str, turns: int, folder: str) -> dict[str, float]:
        row: dict[str, float] = asyncio.run(scaling._STEPS[name](backend, turns, Path(folder)))
        return row

    monkeypatch.setattr(scaling, "_step", step)  # in this process
    for size, number in (("_SMALLEST", 100), ("_QUESTIONS", 20), ("_COLD", 2)):
        monkeypatch.setattr(scaling, size, number)
    table, plot, page = tmp_path / "s.csv", tmp_path / "s.svg", tmp_path / "s.md"
    files: list[str | Path] = ["--plot", plot, "--markdown", page]
    output = measure("--max", "1000", "--csv", table, *files, *(a for name in _BACKENDS for a in ("--backend", name)))
    header, *rows = table.read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == _BACKENDS
    hit = header.split(",").index("hit")
    assert all(float(row.split(",")[hit]) > 0.9 for row in rows)
    assert "bm25" in output
    svg, markdown = plot.read_text(), page.read_text()
    assert svg.startswith("<svg") and all(f">{name}</text>" in svg for name in _BACKENDS)
    assert "![Look-up, memory, ingest and disk against stored turns](s.svg)" in markdown
    assert all(f"\n| {name} | 1,000 |" in markdown for name in _BACKENDS)
    rebuilt = measure("--from", table, *files)
    assert (plot.read_text(), page.read_text()) == (svg, markdown)
    assert rebuilt.strip() == "\n".join(output.splitlines()[1 + len(_BACKENDS) :])


def test_each_step_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, str(_PERF / "scaling.py"), "--max", "1000", "--backend", "bm25", "--csv", "s.csv"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=tmp_path)
    header, row = ((tmp_path / "s.csv").read_text()).splitlines()
    values = dict(zip(header.split(","), row.split(","), strict=True))
    assert (values["backend"], values["turns"]) == ("bm25", "1000")
    assert float(values["filling MB"]) > 0  # the peak of a process that did nothing before
    assert float(values["memory MB"]) > 0


def _rows(name: str, **medians: float) -> list[dict[str, Any]]:
    return [{"backend": name, "turns": int(size[1:]), "look-up p50 ms": ms} for size, ms in medians.items()]


@pytest.fixture
def crossings(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(_PERF))
    return importlib.import_module("scaling_report").crossings


def test_lines_cross_where_their_logarithms_do(crossings: Any) -> None:
    linear = _rows("linear", n1000=0.1, n10000=1.0, n100000=10.0)
    constant = _rows("constant", n1000=2.0, n10000=2.0, n100000=2.0)
    assert crossings(linear + constant) == ["constant is faster than linear from 20,000 turns on."]
    assert crossings(linear) == []


def test_lines_that_do_not_cross_are_reported_with_the_largest_common_size(crossings: Any) -> None:
    below = _rows("below", n1000=1.0, n10000=1.0)
    above = _rows("above", n1000=2.0, n10000=1.5, n100000=0.1)  # a size at which the other was not measured
    assert crossings(below + above) == [
        "below is faster than above at every size measured: they do not cross up to 10,000 turns."
    ]


def test_the_last_of_several_crossings_counts(crossings: Any) -> None:
    zigzag = _rows("zigzag", n1000=1.0, n10000=4.0, n100000=1.0)
    constant = _rows("constant", n1000=2.0, n10000=2.0, n100000=2.0)
    (sentence,) = crossings(zigzag + constant)
    assert sentence == "zigzag is faster than constant from 32,000 turns on."
