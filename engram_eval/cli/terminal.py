"""Tables and notes as a person reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engram_eval.tables.table import Table


def print_tables(tables: Sequence[Table[Any]], *, before: Iterable[str] = (), notes: Iterable[str] = ()) -> None:
    """On a terminal as wide as it is, but not so narrow that columns vanish; in a file or a CI log wide enough that nothing
    wraps. As one text: rich would end the process itself if the reader of our output went away."""
    from rich.console import Console

    from engram_eval.tables.terminal import print_rich
    from engram_eval.tables.text import visible

    console = Console(highlight=False, emoji=False)
    console.width = max(console.width, 100) if sys.stdout.isatty() else 200
    with console.capture() as captured:
        for line in before:
            console.print(visible(line), markup=False)
        print_rich(tables, console)
        for note in notes:
            console.print(visible(note), markup=False, style="dim")
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
