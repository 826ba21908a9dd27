"""Tables as text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from engram_eval.tables.table import Table
from engram_eval.tables.text import visible


def to_text(
    tables: Sequence[Table[Any]],
    *,
    before: Iterable[str] = (),
    notes: Iterable[str] = (),
    console: Console | None = None,
) -> str:
    """The tables with lines before and notes after them, plain and 200 columns wide or as the given console renders them.

    It returns text instead of printing, because rich ends the process when the reader of our output closes the pipe.
    """
    console = console or Console(file=StringIO(), width=200, highlight=False, emoji=False)
    with console.capture() as captured:
        for line in before:
            console.print(visible(line), markup=False)
        print_rich(tables, console)
        for note in notes:
            console.print(visible(note), markup=False, style="dim")
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def print_rich(tables: Sequence[Table[Any]], console: Console) -> None:
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
            grid.add_row(*(Text(visible(cell.text), style="bold green" if cell.best else "") for cell in line))
        console.print(grid)
