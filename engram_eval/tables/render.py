"""Tables as text for a terminal, Markdown and CSV."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from engram_eval.tables.table import Row, Table
from engram_eval.tables.text import visible


def print_rich(tables: Sequence[Table], console: Console) -> None:
    for table in tables:
        grid = RichTable(
            title=table.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
        )
        for i, column in enumerate(table.columns):
            grid.add_column(
                column.name, justify="left" if i == 0 else "right", no_wrap=i == 0 or column.name == "95 % interval"
            )
        for line in table.cells():
            # Text, not markup: a backend's name is data.
            grid.add_row(*(Text(visible(shown), style="bold green" if best else "") for shown, best in line))
        console.print(grid)


def to_markdown(tables: Sequence[Table]) -> str:
    out = []
    for table in tables:
        out += [f"**{table.title}**", ""]
        out.append("| " + " | ".join(escaped(column.name) for column in table.columns) + " |")
        out.append("|" + "|".join("---" if i == 0 else "--:" for i in range(len(table.columns))) + "|")
        for line in table.cells():
            out.append("| " + " | ".join(f"**{escaped(s)}**" if best else escaped(s) for s, best in line) + " |")
        out.append("")
    return "\n".join(out)


def to_csv(rows: Sequence[Row]) -> str:
    """One line a backend with everything that its summary holds: unrounded, shares from 0 to 1, times in seconds."""
    flat = pd.json_normalize([_ends_apart(row) for row in rows])
    return flat.to_csv(index=False, lineterminator="\n")


def _ends_apart(values: Row) -> Row:
    """The two ends of each interval as values of their own."""
    out: Row = {}
    for key, value in values.items():
        if key.endswith("_ci"):
            out |= {f"{key}_low": value[0], f"{key}_high": value[1]}
        else:
            out[key] = _ends_apart(value) if isinstance(value, dict) else value
    return out


def escaped(text: str) -> str:
    """As Markdown shows it and not as Markdown takes it."""
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;")
    return text.replace("|", "\\|").replace("\n", " ")
