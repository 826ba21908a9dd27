"""A run that was judged again, as the API returns it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engram_eval.compare.judge_comparison import JudgeComparison
from engram_eval.compare.judge_tables import make_notes, make_tables
from engram_eval.run.finished import Run
from engram_eval.tables.html import escaped, to_html
from engram_eval.tables.terminal import to_text


class Rejudged:
    """`runs`: each judge's verdicts as a run, by the judge's label. `comparison`: agreement, order, differing verdicts."""

    def __init__(self, folder: Path, runs: Mapping[str, Run], comparison: JudgeComparison) -> None:
        self.folder = folder
        self.runs = dict(runs)
        self.comparison = comparison

    def table(self) -> str:
        """The tables and notes as `engram-eval rejudge` prints them."""
        return to_text(make_tables(self.comparison), notes=make_notes(self.comparison))

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"Rejudged({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escaped(note)}</li>" for note in make_notes(self.comparison))
        return f"{to_html(make_tables(self.comparison))}\n<ul>{notes}</ul>"
