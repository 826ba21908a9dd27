"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engram_eval.tables.table import Table
from engram_eval.tables.text import visible


def to_markdown(tables: Sequence[Table[Any]]) -> str:
    """The tables one after the other, with the best values in bold."""
    lines = []
    for table in tables:
        lines += [f"**{table.title}**", ""]
        lines.append(_line([escaped(column.name) for column in table.columns]))
        lines.append("|" + "|".join("---" if i == 0 else "--:" for i in range(len(table.columns))) + "|")
        for cells in table.cells():
            lines.append(_line([f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text) for cell in cells]))
        lines.append("")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """The text escaped for a Markdown table cell, with hidden characters made visible."""
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;")
    return text.replace("|", "\\|").replace("\n", " ")
