"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engram_eval.tables.table import Table
from engram_eval.tables.text import visible


def to_markdown(tables: Sequence[Table[Any]]) -> str:
    """The tables one after the other, the best values bold."""
    out = []
    for table in tables:
        out += [f"**{table.title}**", ""]
        out.append(_line([escaped(column.name) for column in table.columns]))
        out.append("|" + "|".join("---" if i == 0 else "--:" for i in range(len(table.columns))) + "|")
        for line in table.cells():
            out.append(_line([f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text) for cell in line]))
        out.append("")
    return "\n".join(out)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """Text in which Markdown finds no table cell, line or HTML."""
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;")
    return text.replace("|", "\\|").replace("\n", " ")
