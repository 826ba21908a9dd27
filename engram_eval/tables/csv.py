"""Nested values as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per row: nested keys are joined by dots, and an interval `NAME_ci` becomes `NAME_ci_low` and `NAME_ci_high`."""
    flat = pd.json_normalize([_interval_ends(row) for row in rows])
    return flat.to_csv(index=False, lineterminator="\n")


def _interval_ends(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key.endswith("_ci"):
            low, high = value or (None, None)
            flat |= {f"{key}_low": low, f"{key}_high": high}
        else:
            flat[key] = _interval_ends(value) if isinstance(value, Mapping) else value
    return flat
