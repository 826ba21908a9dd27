"""A finished run, as the API returns it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engram_eval.metrics.summary import summarise
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import Manifest
from engram_eval.results.record import Record
from engram_eval.results.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

    from engram_eval.compare.comparison import Comparison


class Run:
    """A run on disk. It is a path too: `Path(run)`, `compare(run)` and `load(run)` take it."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    @property
    def manifest(self) -> Manifest:
        """What was run, and where it comes from. Raises UserError if the folder holds no run."""
        return RunFolder(self.folder).manifest()

    @property
    def summary(self) -> Summary:
        """All measures by backend, computed from the records."""
        folder = RunFolder(self.folder)
        return summarise(folder.records(), folder.manifest())

    def records(self) -> Iterator[Record]:
        """All that happened, one record per backend and question."""
        return RunFolder(self.folder).records()

    @property
    def errors(self) -> list[Record]:
        """The records of questions that ended in an error. `evaluate(resume=run)` asks them again."""
        return [record for record in self.records() if record.status == "error"]

    def frame(self) -> pd.DataFrame:
        """The records as a data frame."""
        from engram_eval.metrics import dataframe

        return dataframe.load(self.folder)

    def comparison(self) -> Comparison:
        """The backends side by side."""
        from engram_eval.compare.comparison import compare

        return compare([RunFolder(self.folder)])

    def table(self) -> str:
        """The tables and notes as `engram-eval compare` prints them."""
        return str(self.comparison())

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        return self.comparison()._repr_html_()

    def __fspath__(self) -> str:
        return str(self.folder)
