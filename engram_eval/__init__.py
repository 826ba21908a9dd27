"""An evaluation harness for conversational memory: accuracy, context tokens and latency on LoCoMo and LongMemEval."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__version__ = "0.1.0"


def load(*runs: str | Path) -> pd.DataFrame:
    """The records of one or more runs as a data frame, one row a backend and question; see `engram_eval.frame.load`."""
    from engram_eval.metrics import dataframe as frame  # pandas takes a while to import: only where it is used

    return frame.load(*runs)
