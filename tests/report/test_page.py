"""What the page is made of, without a browser."""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from engram_eval.cli import report as command
from engram_eval.compare.comparison import compare
from engram_eval.errors import UserError
from engram_eval.report.page import write_report
from engram_eval.report.text import LONGEST, Pool, cut, short
from engram_eval.results.folder import RunFolder
from engram_eval.tables.text import visible
from tests.records import changed, failed, record, run
from tests.report.pages import HOSTILE, folder, hostile, large, page


def unpacked(made: str, part: str) -> dict[str, Any]:
    found = re.search(rf'id="{part}-data">([^<]*)<', made)
    assert found
    value: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1], validate=True)))
    return value


def test_hidden_characters_are_marked_and_others_left() -> None:
    assert visible("a\u202eb\x00\ud800\u2028") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+D800⟩⟨U+2028⟩"
    assert visible("two\r\nlines\tשלום 👩‍👩‍👧") == "two\nlines\tשלום 👩‍👩‍👧"


def test_long_texts_are_cut_and_say_so() -> None:
    assert cut("x" * LONGEST) == "x" * LONGEST
    assert cut("x" * (LONGEST + 1234)).endswith("[1,234 more characters are not shown here]")
    assert short("a  b\nc", 10) == "a b c"
    assert len(short("x" * 100_000, 20)) == 20
    assert len(short(" " * 1000 + "x" * 1000, 20)) <= 20


def test_a_text_is_kept_once() -> None:
    pool = Pool()
    assert [pool.add(text) for text in ("a", "b", "a", "c\x00", "c⟨U+0000⟩")] == [0, 1, 0, 2, 2]
    assert pool.texts == ["a", "b", "c⟨U+0000⟩"]


def test_tables_notes_and_charts_are_those_of_the_comparison(tmp_path: Path) -> None:
    made = folder(tmp_path / "mine", run())
    comparison = compare([made])
    text = page(made)
    for table in comparison.tables:
        for shown, _ in (cell for row in table.cells() for cell in row):
            assert f"<bdi>{shown}</bdi>" in text
    assert "not LLM-judge scores: they compare memories" in text
    assert '<li class="badge warn">scores by the offline judge: not LLM-judge scores</li>' in text
    assert text.index("not LLM-judge scores") < text.index("<table>")
    for title in ("Accuracy against context tokens", "Accuracy against latency", "Accuracy by category"):
        assert f"<h3>{title}</h3>" in text
    assert "Why answers were wrong" not in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_an_error_is_an_error_and_never_wrong(tmp_path: Path) -> None:
    text = page(folder(tmp_path / "mine", run()))
    data = unpacked(text, "table")
    outcomes = {label: column["outcome"] for label, column in zip(data["backends"], data["answers"], strict=True)}
    assert outcomes == {"none": "wwwr", "engram": "rrwr", "bm25": "rwer", "oracle": "rrrr"}
    assert "1 answer ended in an error" in text
    details = unpacked(text, "details")
    assert details["texts"][details["answers"][2]["said"][2]] == "OSError: no"


def test_an_empty_a_partial_and_an_errored_run_have_a_page(tmp_path: Path) -> None:
    empty = page(folder(tmp_path / "empty", []))
    assert "No question has been answered yet" in empty
    assert "not finished: the questions so far" in empty
    errored = page(folder(tmp_path / "errored", [failed(backend=label) for label in ("engram", "bm25")]))
    assert "2 answers ended in an error" in errored
    assert "nothing to draw" in errored
    partial = page(folder(tmp_path / "partial", run()[:6]))
    assert unpacked(partial, "table")["answers"][2]["outcome"] == "----"


def test_two_runs_share_their_questions_and_set_the_same_memory_side_by_side(tmp_path: Path) -> None:
    other = [changed(item, correct=None) if item.key == ("engram", "b:q3") else item for item in run()]
    data = unpacked(page(folder(tmp_path / "one", run()), folder(tmp_path / "two", other)), "table")
    assert len(data["questions"]["id"]) == 4
    assert [data["backends"][n] for n in data["pair"]] == ["engram (one)", "engram (two)"]
    assert data["answers"][5]["outcome"] == "rrwn"


def test_causes_and_contexts_stand_in_it_where_they_are_handed_in(tmp_path: Path) -> None:
    def context(item: Any) -> str | None:
        if item.backend == "none":
            return None
        turn = "Ann: I moved to Lisbon in spring and found a flat"
        return (
            f"[8 May]\n{turn}"
            if item.backend == "oracle"
            else f"# Facts\nAnn moved to Lisbon in spring, found a flat.\n{item.backend}"
        )

    made = folder(tmp_path / "mine", run())
    text = page(made, causes=lambda _: {("engram", "b:q2"): "stored, not recalled"}, context=context)
    data, details = unpacked(text, "table"), unpacked(text, "details")
    assert data["causes"] == ["stored, not recalled"]
    assert data["answers"][1]["cause"] == [-1, -1, 0, -1]
    assert "Why answers were wrong" in text
    assert details["answers"][0]["context"] == [-1] * 4
    lines = [details["lines"][n] for n in details["contexts"][details["answers"][1]["context"][0]]]
    assert lines[-1] == "engram"
    marked = {details["lines"][n] for n in details["marked"][0]}
    assert marked == {
        "Ann moved to Lisbon in spring, found a flat.", "Ann: I moved to Lisbon in spring and found a flat",
    }  # fmt: skip


def test_what_was_found_of_the_evidence_is_told_turn_by_turn(tmp_path: Path) -> None:
    item = record(
        evidence=["a", "b", "c", "d"], evidence_recall=0.25, evidence_all=False, evidence_found=["a"],
        evidence_truncated=["b"], evidence_stored=["a", "b", "c"],
    )  # fmt: skip
    answers = unpacked(page(folder(tmp_path / "mine", [item])), "details")["answers"]
    assert answers[1]["states"] == [[3, 2, 1, 0]]


def test_nothing_that_was_written_by_others_is_markup(tmp_path: Path) -> None:
    text = page(hostile(tmp_path / "hostile"))
    assert not re.search(r"<(img|iframe|svg onload)", text)
    assert len(re.findall(r"<script", text)) == 3
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00\ud800-\udfff]", text)
    assert "onerror=&#39;window.owned" in text
    assert unpacked(text, "table")["backends"][0] == HOSTILE[0]
    text.encode()


def test_the_questions_of_locomo_by_six_backends_stay_under_15_megabytes(tmp_path: Path) -> None:
    """Of a quarter of its 1,986 questions, held against a quarter of that."""
    labels = ["none", "engram", "full-history", "bm25", "dense", "oracle"]
    made = large(tmp_path / "large", 1986 // 4, labels)
    assert write_report([made], compare([made]), tmp_path / "report.html") < 15_000_000 / 4


def test_the_file_is_written_over_whole(tmp_path: Path) -> None:
    made = folder(tmp_path / "mine", run())
    to = tmp_path / "report.html"
    to.write_text("before")
    assert write_report([made], compare([made]), to) == to.stat().st_size
    assert to.read_text("utf-8").startswith("<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "report.html"]
    assert stat.S_IMODE(to.stat().st_mode) == stat.S_IMODE((tmp_path / "mine" / "manifest.json").stat().st_mode)


def test_a_file_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    made = folder(tmp_path / "mine", run()[:1])
    for to, why in ((tmp_path, "is a folder"), (tmp_path / "no" / "report.html", "cannot be written")):
        with pytest.raises(UserError, match=why):
            write_report([made], compare([made]), to)


def test_the_command_writes_the_file_that_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    made, to = folder(tmp_path / "mine", run()), tmp_path / "page.html"
    options = parser.parse_args(["report", str(made.path), "-o", str(to)])
    assert options.command(options) == 0
    assert to.exists()
    assert capsys.readouterr().out.startswith(f"{to}: ")


def test_a_folder_that_holds_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is .* the folder of a run"):
        page(RunFolder(tmp_path / "nothing"))


def test_the_same_run_makes_the_same_page(tmp_path: Path) -> None:
    made = folder(tmp_path / "mine", run())
    assert page(made) == page(made)
