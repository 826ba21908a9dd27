"""A run as a data frame, and the files that are exported from it."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

import engram_eval
from engram_eval.cli.main import main
from engram_eval.tables.csv import without_formulas
from tests.records import record, run, write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", run()).path


def test_a_frame_has_one_row_per_record_and_typed_columns(folder: Path) -> None:
    frame = engram_eval.load(folder)
    assert len(frame) == len(run())
    assert str(frame["correct"].dtype) == "boolean"
    assert frame[frame["status"] == "error"]["correct"].isna().all()  # an error is not a wrong answer
    means = frame[frame["category"] != "adversarial"].groupby("backend", observed=True)["correct"].mean()
    assert means["engram"] == pytest.approx(2 / 3)
    engram = frame[frame["backend"] == "engram"].iloc[0]
    assert engram["latency_s"] == pytest.approx(engram["retrieval_s"] + engram["answer_s"])
    assert engram["judge_name"] == "offline"


def test_a_column_names_the_run(folder: Path) -> None:
    frame = engram_eval.load(folder, str(folder))
    assert len(frame) == 2 * len(run())
    assert list(frame["run"].cat.categories) == [str(folder)]


@pytest.mark.parametrize("name", ["records.parquet", "records.csv"])
def test_export(folder: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / name
    assert main(["export", str(folder), "-o", str(out)]) == 0
    assert f"{len(run())} records written" in capsys.readouterr().out
    back = pd.read_parquet(out) if out.suffix == ".parquet" else pd.read_csv(out)
    assert len(back) == len(run())
    assert list(back["question_id"]) == [item.question_id for item in run()]
    first = back[back["backend"] == "engram"].iloc[0]
    assert list(first["retrieved_sessions"]) in (["D1"], list("D1"))  # a list, or in CSV a text
    assert back["correct"].isna().sum() == 1


@pytest.mark.parametrize("start", ["=HYPERLINK(", "+", "-", "@SUM(", "\t=", "\r", "\n=", "＝"])
def test_no_text_of_a_csv_is_a_formula_and_numbers_stay(tmp_path: Path, start: str) -> None:
    text = f"{start}1+1"
    shown = "'" + text.replace("\r", "\n")
    folder = write_run(tmp_path / "run", [record(answer=text, gold="a-b", f1=0.5)])
    assert main(["export", str(folder.path), "-o", str(tmp_path / "out.csv")]) == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["answer"], row["gold"], row["f1"]) == (shown, "a-b", "0.5")
    frame = pd.DataFrame({text: [text], "number": [-1.5], "maybe": pd.array([-1, None], "Int64")[:1]})
    escaped = without_formulas(frame)
    assert escaped.to_dict("records") == [{shown: shown, "number": -1.5, "maybe": -1}]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{run}", "-o", "/nowhere/x.csv"], "/nowhere/x.csv: cannot be written"),
        (["{run}", "-o", "/nowhere/x.parquet"], "/nowhere/x.parquet: cannot be written"),
        (["{run}", "-o", "x.xls"], "x.xls: ends in neither .parquet nor .csv"),
        (["/nowhere", "-o", "x.csv"], "is /nowhere the folder of a run?"),
    ],
)
def test_an_export_that_fails_is_one_sentence(
    folder: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *(argument.format(run=folder) for argument in arguments)]) == 2
    assert sentence in capsys.readouterr().err
