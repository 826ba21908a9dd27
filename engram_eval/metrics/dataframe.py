"""A run as a data frame: one row a record, for notebooks and for export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import failure_stage
from engram_eval.metrics.summary import encodable
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record


def load(*runs: str | Path) -> pd.DataFrame:
    """The records of one or more runs, one row a backend and question.

    The fields of `Record` are columns, but for `judge`, whose parts are `judge_name`, `judge_votes`, `judge_reason` and
    `judge_cost_usd`; beside them `run`, `latency_s` (recall + answer) and `cause` (of a wrong answer). Times in seconds,
    money in US dollars; what is not known is missing, and `correct` of an errored question is too. Raises UserError for
    a folder that holds no run.
    """
    rows = [row for run in runs for row in _rows(Path(run))]
    columns = [name for name in Record.__dataclass_fields__ if name != "judge"]
    frame = pd.DataFrame(rows, columns=["run", *columns, *_JUDGE.values(), "cause"])
    numbers = [name for name in columns if name.endswith(("_s", "_usd", "_tokens", "_recall", "f1"))]
    frame[[*numbers, "judge_cost_usd"]] = frame[[*numbers, "judge_cost_usd"]].astype("Float64")
    truths = ["correct", "evidence_all", "answer_in_context"]
    frame[truths] = frame[truths].astype("boolean")
    frame["latency_s"] = frame["retrieval_s"] + frame["answer_s"]
    for name in ("run", "backend", "category", "status", "cause"):
        frame[name] = frame[name].astype("category")
    return frame


_LISTS = (
    "retrieved", "evidence", "evidence_found", "evidence_truncated", "evidence_stored", "judge_votes",
    "retrieved_sessions", "evidence_sessions",
)  # fmt: skip
_JUDGE = {"name": "judge_name", "votes": "judge_votes", "reason": "judge_reason", "cost_usd": "judge_cost_usd"}


def _rows(run: Path) -> list[dict[str, object]]:
    folder = RunFolder(run)
    folder.manifest()  # is there a run at all?
    rows = []
    for record in folder.records():
        judge = record.judge or {}
        cause = failure_stage(record)
        values = {name: getattr(record, name) for name in Record.__dataclass_fields__ if name != "judge"}
        told = {column: judge.get(name) for name, column in _JUDGE.items()}
        row = {"run": str(run), **values, **told, "cause": str(cause) if cause else None}
        rows.append({name: encodable(value) if isinstance(value, str) else value for name, value in row.items()})
    return rows


def export(runs: Sequence[Path], out: Path) -> int:
    """Writes the frame as CSV or Parquet, by the name of the file; lists are joined with spaces in CSV. Returns its rows."""
    frame = load(*runs)
    try:
        if out.suffix == ".parquet":
            frame.to_parquet(out, index=False)
        elif out.suffix == ".csv":
            for name in _LISTS:
                frame[name] = frame[name].map(
                    lambda value: " ".join(map(str, value)) if isinstance(value, list) else ""
                )
            frame.to_csv(out, index=False, lineterminator="\n")
        else:
            raise UserError(f"{out}: is neither .parquet nor .csv; name the file by its format")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); name another file with -o") from None
    return len(frame)
