"""The tables as a person sees them, as golden files (`REGOLD=1 pytest tests/compare` writes them again)."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from engram_eval.compare.comparison import Comparison, compare
from engram_eval.compare.notes import NoteKind
from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import LabelErrors
from engram_eval.results.folder import RunFolder
from engram_eval.tables.markdown import to_markdown
from engram_eval.tables.note import Note
from engram_eval.tables.terminal import print_rich
from tests.records import PRICED, backend, changed, manifest, manifest_json, priced_run, probe, record, run, write_run

_GOLDEN = Path(__file__).parents[1] / "golden"
_OTHER_SETTINGS = {name: {**facts, "settings": {"k": 9}} for name, facts in manifest_json()["backends"].items()}


def _folder(path: Path, **changes: object) -> RunFolder:
    return write_run(path, run(), **changes)


def _text(result: Comparison, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, color_system=None)
    print_rich(result.tables, console)
    for note in result.notes:
        console.print(note.text, markup=False)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", ["table.txt", "narrow.txt", "table.md", "table.csv"])
def test_rendered_tables(tmp_path: Path, name: str) -> None:
    result = compare([_folder(tmp_path / "mine")])
    rendered = {
        "table.txt": lambda: _text(result, 200),
        "narrow.txt": lambda: _text(result, 100),
        "table.md": lambda: to_markdown(result.tables),
        "table.csv": lambda: replace(result, rows=[replace(row, run="mine") for row in result.rows]).to_csv(),
    }[name]()
    golden = _GOLDEN / name
    if os.environ.get("REGOLD"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(rendered)
    assert rendered == golden.read_text()


def test_money_has_a_table_if_anything_cost_money(tmp_path: Path) -> None:
    judge, judge_probe = {"name": "llm", "agreement": ""}, probe(note="Judge probe: so.")
    folder = write_run(tmp_path / "priced", priced_run(), backends=PRICED, judge=judge, probe=judge_probe)
    result = compare([folder])
    assert [table.title.partition(" ")[0] for table in result.tables][-2:] == ["Money", "Pairs:"]
    rendered = to_markdown(result.tables[-2:]) + "\n" + "\n".join(note.text for note in result.notes) + "\n"
    golden = _GOLDEN / "money.md"
    if os.environ.get("REGOLD"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()


def test_sessions_have_a_table_if_the_benchmark_labels_them(tmp_path: Path) -> None:
    labelled = {**manifest_json()["dataset"], "tables": ["sessions"]}
    result = compare([_folder(tmp_path / "labelled", dataset=labelled)])
    table = next(table for table in result.tables if table.title.startswith("Sessions"))
    assert [[shown for shown, _ in line] for line in table.cells()] == [
        ["none", "0.0", "–", "–", "–", "–"],
        ["engram", "1.0", "0.667", "0.667", "0.667", "0.667"],
        ["bm25", "1.0", "0.500", "0.500", "0.500", "0.500"],
        ["oracle", "1.0", "–", "–", "–", "–"],
    ]
    assert any(note.kind == NoteKind.SESSIONS for note in result.notes)
    other = compare([_folder(tmp_path / "locomo")])
    assert not any(
        "Sessions" in text for text in [*(note.text for note in other.notes), *(table.title for table in other.tables)]
    )


def test_a_benchmark_may_have_its_accuracy_as_the_mean_of_categories_too(tmp_path: Path) -> None:
    records = [
        record(question_id=f"q{i}", category="multi-hop" if i < 9 else "single-hop", correct=i < 9) for i in range(10)
    ]
    dataset = {**manifest_json()["dataset"], "category_mean": True, "questions": 10}
    folder = write_run(tmp_path / "skewed", records, dataset=dataset, backends={"engram": backend()})
    result = compare([folder])
    shown = {
        column.name: cell.text
        for column, cell in zip(result.tables[0].columns, result.tables[0].cells()[0], strict=True)
    }
    assert (shown["accuracy"], shown["mean of categories"]) == ("90.0", "50.0")
    assert any(note.kind == NoteKind.CATEGORY_MEAN for note in result.notes)
    plain = compare([_folder(tmp_path / "plain")])
    assert all(column.name != "mean of categories" for column in plain.tables[0].columns)


def test_csv_has_unrounded_numbers(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(compare([_folder(tmp_path / "mine")]).to_csv())))
    engram = next(row for row in rows if row["backend"] == "engram")
    assert float(engram["accuracy"]) == pytest.approx(2 / 3)


def test_two_runs_share_a_table_and_a_memory_is_paired_with_its_earlier_run(tmp_path: Path) -> None:
    result = compare([_folder(tmp_path / "one"), _folder(tmp_path / "two", backends=_OTHER_SETTINGS)])
    labels = [row.name for row in result.tables[0].rows]
    assert "engram (one)" in labels
    assert "engram (two)" in labels
    assert [(pair.first, pair.second) for pair in result.pairs] == [
        ("bm25 (one)", "engram (one)"),  # the best, as there is no full history
        ("engram (two)", "engram (one)"),
        ("bm25 (two)", "bm25 (one)"),
    ]
    assert result.mismatches == []


def test_runs_of_different_experiments_are_refused_with_a_list_of_differences(tmp_path: Path) -> None:
    llm = {"name": "llm", "model": "m", "votes": 3, "agreement": ""}
    changes = {
        "budget": 500,
        "judge": llm,
        "prompts": {"judge_locomo_v2": "ab" * 32, "engram_router_v2": "cd" * 32},
        "dataset": {**manifest_json()["dataset"], "sha256": "cd"},
    }
    folders = [_folder(tmp_path / "one", prompts={"judge_locomo_v1": "ef" * 32}), _folder(tmp_path / "two", **changes)]
    with pytest.raises(UserError) as refused:
        compare(folders)
    refusal = str(refused.value)
    for difference in (
        "the dataset differs (one: ab, two: cd)",
        "the judge differs (one: offline, two: llm)",
        "the budget differs (one: 916, two: 500)",
        "the judge's set of prompts differs (one: judge_locomo_v1 efefefefefef, two: judge_locomo_v2 abababababab)",
    ):
        assert difference in refusal
    assert refusal.endswith("or add --allow-different")
    assert "reader" not in refusal
    assert "router" not in refusal  # a memory's own prompts are among its settings


def test_a_comparison_of_different_experiments_is_marked_everywhere(tmp_path: Path) -> None:
    first, second = _folder(tmp_path / "one"), _folder(tmp_path / "two", budget=500)
    result = compare([first, second], allow_different=True)
    expected = "These runs are not comparable: the budget differs (one: 916, two: 500)."
    assert Note(NoteKind.MISMATCH, expected) in result.notes
    assert all(table.title.startswith("NOT COMPARABLE (budget): ") for table in result.tables)
    assert not any(best for table in result.tables for line in table.cells() for _, best in line)
    assert result.to_json()["mismatches"] == ["the budget differs (one: 916, two: 500)"]
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert all("budget differs" in row["mismatches"] for row in rows)
    assert ("engram (two)", "engram (one)") in [(pair.first, pair.second) for pair in result.pairs]


def test_questions_of_different_data_are_not_paired_even_with_equal_ids(tmp_path: Path) -> None:
    other = {**manifest_json()["dataset"], "sha256": "cd"}
    result = compare([_folder(tmp_path / "one"), _folder(tmp_path / "two", dataset=other)], allow_different=True)
    assert all(pair.first.endswith(pair.second[-5:]) for pair in result.pairs)


def test_every_pair_is_compared_on_request(tmp_path: Path) -> None:
    named = {name: backend() for name in ("engram", "bm25", "dense")}
    backends = {**named, "degraded": backend(control=True), "none": backend(control=True)}
    records = [changed(item, backend=label) for label in backends for item in run()[4:8]]
    folder = write_run(tmp_path / "mine", records, backends=backends)
    pairs = {(pair.first, pair.second) for pair in compare([folder], all_pairs=True).pairs}
    assert len(pairs) == 6
    assert ("degraded", "engram") in pairs
    assert not any("none" in pair for pair in pairs)
    assert len(compare([folder]).pairs) == 3


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
        assert len({row.name for row in result.rows}) == len(result.rows)


def test_notes_say_what_is_special_about_a_backend(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "mine")
    folder.create(manifest(backends={"mine": backend(paraphrases=True), "peek": backend(sees_evidence=True)}))
    notes = " ".join(note.text for note in compare([folder]).notes)
    assert "mine paraphrases" in notes
    assert "peek sees the evidence" in notes


def test_runs_that_asked_other_questions_are_not_comparable_and_have_no_best(tmp_path: Path) -> None:
    other = write_run(tmp_path / "two", [changed(item, question_id=f"other {item.question_id}") for item in run()])
    folders = [_folder(tmp_path / "one"), other]
    with pytest.raises(UserError, match=r"the set of questions differs \(0 of 8 in common\);"):
        compare(folders)
    result = compare(folders, allow_different=True)
    assert not any(best for table in result.tables for line in table.cells() for _, best in line)


def test_a_refusal_says_which_run_is_unfinished(tmp_path: Path) -> None:
    other = write_run(tmp_path / "two", run()[4:5])
    with pytest.raises(UserError, match=r"differs \(1 of 4 in common\); two is unfinished;"):
        compare([_folder(tmp_path / "one"), other])


def test_a_folder_that_is_named_twice_is_one_run(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "one")
    assert str(compare([folder, RunFolder(folder.path)])) == str(compare([folder]))


def test_data_reader_and_judge_are_named_above_the_tables(tmp_path: Path) -> None:
    assert compare([_folder(tmp_path / "one")]).data_lines == [
        "Data: locomo, 2 conversations, 4 questions: here",
        "Reader: offline. Judge: offline.",
    ]


def test_offline_scores_are_labelled(tmp_path: Path) -> None:
    notes = " ".join(note.text for note in compare([_folder(tmp_path / "mine")]).notes)
    assert "not LLM-judge scores" in notes
    assert "The judge agrees with a judge in 9 of 10." in notes
    assert "bm25: 1 of 4 questions ended in an error and count as neither right nor wrong" in notes


def test_a_name_with_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    name = "[red]x|y[/red]"
    folder = write_run(tmp_path / "mine", [record(backend=name)], backends={name: backend()})
    result = compare([folder])
    assert "[red]x|y[/red]" in _text(result, 200)
    assert "[red]x\\|y[/red]" in to_markdown(result.tables)


def test_summaries_are_json(tmp_path: Path) -> None:
    result = compare([_folder(tmp_path / "mine")])
    assert json.loads(json.dumps({path: summary.to_json() for path, summary in result.summaries.items()}))
    values = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert [(pair["first"], pair["second"], pair["word"]) for pair in values["pairs"]] == [
        ("bm25", "engram", "cannot tell")
    ]


def test_label_errors_are_left_out_of_a_second_accuracy(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "mine")
    both = compare([folder], label_errors=LabelErrors(Path("known.json"), {"b:q2": "wrong date", "zz": "nothing"}))
    engram = next(row.summary.to_json() for row in both.rows if row.name == "engram")
    assert engram["accuracy"] == pytest.approx(2 / 3)
    assert engram["without_label_errors"]["accuracy"] == 1.0
    assert engram["without_label_errors"]["answered"] == 2
    assert engram["failure_stages"]["judge or answer key in doubt"] == 1
    assert "without label errors" in to_markdown(both.tables[:1])
    assert "without label errors" not in to_markdown(compare([folder]).tables[:1])
