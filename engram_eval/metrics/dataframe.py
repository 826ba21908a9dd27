"""A run as a data frame: one row per record, for notebooks and for export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import failure_stage
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import JudgeDecision, Record
from engram_eval.system.files import replacing, writing
from engram_eval.tables.csv import without_formulas

_FIELDS = [name for name in Record.model_fields if name not in ("format", "judge")]
_JUDGE = {f"judge_{name}": name for name in JudgeDecision.model_fields}
_LISTS = (
    "retrieved", "evidence", "evidence_found", "evidence_truncated", "evidence_stored", "judge_votes",
    "retrieved_sessions", "evidence_sessions",
)  # fmt: skip


def load(*runs: str | Path) -> pd.DataFrame:
    """The records of one or more runs, one row per backend and question.

    Columns are the fields of `Record` (with `judge` as `judge_name`, `judge_votes`, `judge_reason` and `judge_cost_usd`) and
    `run`, `latency_s` (retrieval + answer) and `failure_stage` (of a wrong answer). Times are in seconds, money in US
    dollars. Unknown values are missing, and so is `correct` of an errored question. Raises UserError for a folder that
    holds no run.
    """
    rows = [row for run in runs for row in _rows(Path(run))]
    columns = ["run", *_FIELDS, "latency_s", *_JUDGE, "failure_stage"]
    frame = pd.DataFrame(rows, columns=columns)
    numbers = [name for name in columns if name.endswith(("_s", "_usd", "_tokens", "_recall", "f1"))]
    frame[numbers] = frame[numbers].astype("Float64")
    truths = ["correct", "evidence_all", "answer_in_context"]
    frame[truths] = frame[truths].astype("boolean")
    for name in ("run", "backend", "category", "status", "failure_stage"):
        frame[name] = frame[name].astype("category")
    return frame


def _rows(run: Path) -> list[dict[str, Any]]:
    folder = RunFolder(run)
    folder.manifest()  # raises if the folder holds no run
    rows = []
    for record in folder.records():
        stage = failure_stage(record)
        row = {
            "run": str(run),
            **{name: getattr(record, name) for name in _FIELDS},
            "latency_s": record.latency_s,
            **{column: getattr(record.judge, name, None) for column, name in _JUDGE.items()},
            "failure_stage": str(stage) if stage else None,
        }
        rows.append({name: list(value) if isinstance(value, tuple) else value for name, value in row.items()})
    return rows


def export(runs: Sequence[Path], out: Path) -> int:
    """Writes the frame as CSV or Parquet, by the file's name. Returns the number of rows.

    CSV joins lists with spaces, and has an apostrophe before text that a spreadsheet would run as a formula.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise UserError(f"{out}: ends in neither .parquet nor .csv; choose one of these endings")
    frame = load(*runs)
    if out.suffix == ".csv":
        for name in _LISTS:
            frame[name] = frame[name].map(lambda value: " ".join(map(str, value)) if isinstance(value, list) else "")
    with writing(out, fix="name another file with -o"), replacing(out) as file:
        if out.suffix == ".parquet":
            frame.to_parquet(file, index=False)
        else:
            without_formulas(frame).to_csv(file, index=False, lineterminator="\n")
    return len(frame)
