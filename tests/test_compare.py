"""The tables as a person sees them, held as golden files (`REGOLD=1 pytest tests/test_compare.py` writes them anew)."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from engram_eval.compare import Comparison, compare
from engram_eval.results import RunFolder
from engram_eval.table import print_rich, to_csv, to_markdown
from tests.records import PRICED, backend, manifest, priced_run, record, run

_GOLDEN = Path(__file__).parent / "golden"


def _folder(path: Path, **changes: object) -> RunFolder:
    folder = RunFolder(path)
    folder.create(manifest(**changes))
    with folder.appending() as writer:
        for item in run():
            writer.append(item)
    return folder


def _text(result: Comparison, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, color_system=None)
    print_rich(result.tables, console)
    for note in result.notes:
        console.print(note, markup=False)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", ["table.txt", "narrow.txt", "table.md", "table.csv"])
def test_rendered_tables(tmp_path: Path, name: str) -> None:
    result = compare([_folder(tmp_path / "mine")])
    rendered = {
        "table.txt": lambda: _text(result, 200),
        "narrow.txt": lambda: _text(result, 100),
        "table.md": lambda: to_markdown(result.tables),
        "table.csv": lambda: to_csv([{**row, "run": "mine"} for row in result.rows]),
    }[name]()
    golden = _GOLDEN / name
    if os.environ.get("REGOLD"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(rendered)
    assert rendered == golden.read_text()


def test_money_stands_in_a_table_of_its_own_where_there_is_any(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "priced")
    folder.create(manifest(backends=PRICED, judge={"name": "llm", "agreement": ""}, probe={"note": "Judge probe: so."}))
    with folder.appending() as writer:
        for item in priced_run():
            writer.append(item)
    result = compare([folder])
    rendered = to_markdown(result.tables[-1:]) + "\n" + "\n".join(result.notes) + "\n"
    golden = _GOLDEN / "money.md"
    if os.environ.get("REGOLD"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()


def test_csv_holds_numbers_unrounded(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(compare([_folder(tmp_path / "mine")]).rows))))
    engram = next(row for row in rows if row["backend"] == "engram")
    assert float(engram["accuracy"]) == pytest.approx(2 / 3)


def test_two_runs_stand_on_one_table_and_what_differs_is_said(tmp_path: Path) -> None:
    result = compare([_folder(tmp_path / "one"), _folder(tmp_path / "two", budget=500)])
    labels = [row["backend"] for row in result.tables[0].rows]
    assert "engram (one)" in labels
    assert "engram (two)" in labels
    assert any("do not compare: the budget differs (one: 916, two: 500)" in note for note in result.notes)


def test_controls_are_never_marked_as_best_however_many_runs_there_are(tmp_path: Path) -> None:
    for folders in (["one"], ["one", "two"], ["a/run", "b/run"]):
        result = compare([_folder(tmp_path / str(len(folders)) / name) for name in folders])
        marked = {
            line[0][0].partition(" ")[0]
            for table in result.tables
            for line in table.cells()
            if any(best for _, best in line)
        }
        assert marked == {"engram", "bm25"}
        assert len({row["backend"] for row in result.rows}) == len(result.rows)


def test_what_a_backend_is_allowed_stands_beneath_the_table(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "mine")
    folder.create(manifest(backends={"mine": backend(paraphrases=True), "peek": backend(sees_evidence=True)}))
    notes = " ".join(compare([folder]).notes)
    assert "mine paraphrases" in notes
    assert "peek is shown the evidence" in notes


def test_runs_that_asked_other_questions_do_not_compare_and_have_no_best(tmp_path: Path) -> None:
    other = RunFolder(tmp_path / "two")
    other.create(manifest())
    with other.appending() as writer:
        for item in run():
            writer.append(replace(item, question_id=f"other {item.question_id}"))
    result = compare([_folder(tmp_path / "one"), other])
    assert "they asked different questions (0 of 8 in common)" in " ".join(result.notes)
    assert not any(best for table in result.tables for line in table.cells() for _, best in line)


def test_what_was_measured_on_stands_above_the_table(tmp_path: Path) -> None:
    assert compare([_folder(tmp_path / "one")]).data == ["Data: locomo, 2 conversations, 4 questions: here"]


def test_offline_scores_are_labelled(tmp_path: Path) -> None:
    notes = " ".join(compare([_folder(tmp_path / "mine")]).notes)
    assert "not LLM-judge scores" in notes
    assert "The judge agrees with a judge in 9 of 10." in notes
    assert "bm25: 1 of 4 questions ended in an error and count neither as right nor as wrong" in notes


def test_a_name_with_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "mine")
    folder.create(manifest(backends={"[red]x|y[/red]": backend()}))
    with folder.appending() as writer:
        writer.append(record(backend="[red]x|y[/red]"))
    result = compare([folder])
    assert "[red]x|y[/red]" in _text(result, 200)
    assert "[red]x\\|y[/red]" in to_markdown(result.tables)


def test_summaries_are_json(tmp_path: Path) -> None:
    assert json.loads(json.dumps(compare([_folder(tmp_path / "mine")]).summaries))
