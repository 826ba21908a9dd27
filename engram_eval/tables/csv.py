"""Values as CSV in which a spreadsheet finds no formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per row: nested keys are joined by dots, and an interval `NAME_ci` becomes `NAME_ci_low` and `NAME_ci_high`."""
    flat = pd.json_normalize([_interval_ends(row) for row in rows])
    return without_formulas(flat).to_csv(index=False, lineterminator="\n")


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with an apostrophe before each text, also a column's name, that a spreadsheet would run as a formula.

    Numbers stay as they are, and carriage returns become line feeds. Source: OWASP, CSV Injection.
    """
    texts = [name for name, kind in frame.dtypes.items() if not is_numeric_dtype(kind)]
    escaped = frame.assign(**{str(name): frame[name].astype(object).map(_escaped) for name in texts})
    return escaped.rename(columns=_escaped)


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace(
        "\r", "\n"
    )  # pandas does not quote a carriage return, and it ends a line
    return f"'{text}" if value.startswith(_FORMULA) else text


def _interval_ends(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key.endswith("_ci"):
            low, high = value or (None, None)
            flat |= {f"{key}_low": low, f"{key}_high": high}
        else:
            flat[key] = _interval_ends(value) if isinstance(value, Mapping) else value
    return flat
