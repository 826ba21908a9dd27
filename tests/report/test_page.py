"""What the page contains, without a browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli.main import main
from engram_eval.compare.comparison import compare
from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import FailureStage, LabelErrors
from engram_eval.report.page import write_report
from engram_eval.report.text import LONGEST, TextPool, cut, short
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from engram_eval.tables.text import visible
from tests.records import changed, failed, record, run
from tests.report.pages import HOSTILE, folder, hostile, large, page


def unpacked(text: str, part: str) -> dict[str, Any]:
    match = re.search(rf'id="{part}-data">([^<]*)<', text)
    assert match
    value: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(match[1], validate=True)))
    return value


def test_hidden_characters_are_marked_and_others_kept() -> None:
    assert visible("a\u202eb\x00\ud800\u2028") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+D800⟩⟨U+2028⟩"
    assert visible("two\r\nlines\tשלום 👩‍👩‍👧") == "two\nlines\tשלום 👩‍👩‍👧"


def test_long_texts_are_cut_with_a_note() -> None:
    assert cut("x" * LONGEST) == "x" * LONGEST
    assert cut("x" * (LONGEST + 1234)).endswith("[1,234 more characters are not shown here]")
    assert short("a  b\nc", 10) == "a b c"
    assert len(short("x" * 100_000, 20)) == 20
    assert len(short(" " * 1000 + "x" * 1000, 20)) <= 20


def test_each_text_is_kept_once() -> None:
    pool = TextPool()
    assert [pool.add(text) for text in ("a", "b", "a", "c\x00", "c⟨U+0000⟩")] == [0, 1, 0, 2, 2]
    assert pool.texts == ["a", "b", "c⟨U+0000⟩"]


def test_tables_notes_and_charts_are_those_of_the_comparison(tmp_path: Path) -> None:
    run_folder = folder(tmp_path / "mine", run())
    comparison = compare([run_folder])
    text = page(run_folder)
    for table in comparison.tables:
        for cell in (cell for row in table.cells() for cell in row):
            assert f"<bdi>{cell.text}</bdi>" in text
    assert "they are not LLM-judge scores" in text
    assert '<li class="badge warn">scores by the offline judge: not LLM-judge scores</li>' in text
    assert text.index("not LLM-judge scores") < text.index("<table>")
    for title in (
        "Accuracy against context tokens", "Accuracy against latency", "Accuracy by category", "Failure stages",
    ):  # fmt: skip
        assert f"<h3>{title}</h3>" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_without_wrong_answers_there_is_no_chart_of_failure_stages(tmp_path: Path) -> None:
    text = page(folder(tmp_path / "mine", [item for item in run() if item.correct]))
    assert "Failure stages" not in text
    assert unpacked(text, "table")["failure_stages"] == []


def test_an_error_is_an_error_and_never_wrong(tmp_path: Path) -> None:
    text = page(folder(tmp_path / "mine", run()))
    data = unpacked(text, "table")
    outcomes = {label: column["outcome"] for label, column in zip(data["backends"], data["answers"], strict=True)}
    assert outcomes == {"none": "wwwr", "engram": "rrwr", "bm25": "rwer", "oracle": "rrrr"}
    assert "1 answer ended in an error" in text
    details = unpacked(text, "details")
    assert details["texts"][details["answers"][2]["explanation"][2]] == "OSError: no"


def test_an_empty_a_partial_and_an_errored_run_have_a_page(tmp_path: Path) -> None:
    empty = page(folder(tmp_path / "empty", []))
    assert "No question has been answered yet" in empty
    assert "unfinished: only the questions so far" in empty
    errored = page(folder(tmp_path / "errored", [failed(backend=label) for label in ("engram", "bm25")]))
    assert "2 answers ended in an error" in errored
    assert "there are no charts" in errored
    partial = page(folder(tmp_path / "partial", run()[:6]))
    assert unpacked(partial, "table")["answers"][2]["outcome"] == "----"


def test_two_runs_share_their_questions_and_the_same_memory_is_compared_first(tmp_path: Path) -> None:
    second = [changed(item, correct=None) if item.key == ("engram", "b:q3") else item for item in run()]
    data = unpacked(page(folder(tmp_path / "one", run()), folder(tmp_path / "two", second)), "table")
    assert len(data["questions"]["id"]) == 4
    assert [data["backends"][n] for n in data["pair"]] == ["engram (one)", "engram (two)"]
    assert data["answers"][5]["outcome"] == "rrwn"


def test_wrong_answers_have_a_failure_stage(tmp_path: Path) -> None:
    records = [changed(item, evidence_found=[]) if item.correct is False else item for item in run()]
    run_folder = folder(tmp_path / "mine", records)
    text = page(run_folder)
    data = unpacked(text, "table")
    assert data["failure_stages"] == ["stored, not retrieved"]
    assert data["answers"][1]["failure_stage"] == [-1, -1, 0, -1]
    figure = text[text.index("<h3>Failure stages</h3>") :]
    assert "<td><bdi>engram</bdi></td><td><bdi>1</bdi></td><td><bdi>1</bdi></td>" in figure
    with_label_error = unpacked(page(run_folder, label_errors=LabelErrors(None, {"b:q2": "wrong gold"})), "table")
    assert with_label_error["failure_stages"] == [FailureStage.NOT_RETRIEVED, FailureStage.IN_DOUBT]
    assert with_label_error["answers"][1]["failure_stage"] == [-1, -1, 1, -1]


def test_contexts_are_shown_with_the_evidence_marked_where_the_run_kept_them(tmp_path: Path) -> None:
    def context(item: Record) -> str | None:
        if item.backend == "none":
            return None
        turn = "Ann: I moved to Lisbon in spring and found a flat"
        return (
            f"[8 May]\n{turn}"
            if item.backend == "oracle"
            else f"# Facts\nAnn moved to Lisbon in spring, found a flat.\n{item.backend}"
        )

    details = unpacked(page(folder(tmp_path / "mine", run(), context=context)), "details")
    assert details["answers"][0]["context"] == [-1] * 4
    lines = [details["lines"][n] for n in details["contexts"][details["answers"][1]["context"][0]]]
    assert lines[-1] == "engram"
    marked = {details["lines"][n] for n in details["marked"][0]}
    assert marked == {
        "Ann moved to Lisbon in spring, found a flat.", "Ann: I moved to Lisbon in spring and found a flat",
    }  # fmt: skip


def test_the_state_of_each_evidence_turn_is_shown(tmp_path: Path) -> None:
    item = record(
        evidence=["a", "b", "c", "d"], evidence_recall=0.25, evidence_all=False, evidence_found=["a"],
        evidence_truncated=["b"], evidence_stored=["a", "b", "c"],
    )  # fmt: skip
    answers = unpacked(page(folder(tmp_path / "mine", [item])), "details")["answers"]
    assert answers[1]["evidence_states"] == [[3, 2, 1, 0]]


def test_untrusted_text_never_becomes_markup(tmp_path: Path) -> None:
    text = page(hostile(tmp_path / "hostile"))
    assert not re.search(r"<(img|iframe|svg onload)", text)
    assert len(re.findall(r"<script", text)) == 3
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00\ud800-\udfff]", text)
    assert "onerror=&#39;window.owned" in text
    assert unpacked(text, "table")["backends"][0] == HOSTILE[0]
    assert any("⟨U+D800⟩" in line for line in unpacked(text, "details")["lines"])
    text.encode()


def test_the_questions_of_locomo_by_six_backends_stay_under_15_megabytes(tmp_path: Path) -> None:
    """Measured on a quarter of its 1,986 questions, against a quarter of the limit."""
    labels = ["none", "engram", "full-history", "bm25", "dense", "oracle"]
    run_folder = large(tmp_path / "large", 1986 // 4, labels)
    assert write_report([run_folder], compare([run_folder]), tmp_path / "report.html") < 15_000_000 / 4


def test_an_existing_file_is_replaced_whole(tmp_path: Path) -> None:
    run_folder = folder(tmp_path / "mine", run())
    path = tmp_path / "report.html"
    path.write_text("before")
    assert write_report([run_folder], compare([run_folder]), path) == path.stat().st_size
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "report.html"]
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "mine" / "manifest.json").stat().st_mode)


def test_a_file_that_cannot_be_written_is_reported_in_one_sentence(tmp_path: Path) -> None:
    run_folder = folder(tmp_path / "mine", run()[:1])
    for path, reason in ((tmp_path, "this is a folder"), (tmp_path / "no" / "report.html", "there is no such folder")):
        with pytest.raises(UserError, match=rf"cannot be written \({reason}\); name another file with -o"):
            write_report([run_folder], compare([run_folder]), path)


def test_the_command_writes_the_file_that_it_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder, path = folder(tmp_path / "mine", run()), tmp_path / "page.html"
    label_errors = tmp_path / "errors.json"
    label_errors.write_text(json.dumps([{"question_id": "b:q2", "reason": "wrong gold"}]))
    assert main(["report", str(run_folder.path), "-o", str(path), "--known-errors", str(label_errors)]) == 0
    assert FailureStage.IN_DOUBT in unpacked(path.read_text("utf-8"), "table")["failure_stages"]
    assert capsys.readouterr().out.startswith(f"{path}: ")


def test_a_folder_without_a_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is .* the folder of a run"):
        page(RunFolder(tmp_path / "nothing"))


def test_the_same_run_makes_the_same_page(tmp_path: Path) -> None:
    run_folder = folder(tmp_path / "mine", run())
    assert page(run_folder) == page(run_folder)
