"""Tables as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from engram_eval.tables.table import Table
from engram_eval.tables.text import visible


def to_html(tables: Sequence[Table[Any]]) -> str:
    """The tables one after the other, with the best values in bold."""
    return "\n".join(map(_table, tables))


def _table(table: Table[Any]) -> str:
    head = "".join(f"<th>{escaped(column.name)}</th>" for column in table.columns)
    lines = [
        "".join(
            f"<td><b>{escaped(cell.text)}</b></td>" if cell.best else f"<td>{escaped(cell.text)}</td>" for cell in line
        )
        for line in table.cells()
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f"<table><caption>{escaped(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def escaped(text: str) -> str:
    """The text escaped for HTML, with hidden characters made visible."""
    return escape(visible(text))
