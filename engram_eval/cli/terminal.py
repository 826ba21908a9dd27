"""Prints lines, tables and notes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engram_eval.tables.table import Table


def say(text: str, *, err: bool = False) -> None:
    """Prints lines. Names, texts of others and what servers report can be in them: nothing hidden reaches the terminal."""
    from engram_eval.tables.text import visible

    print(visible(text), file=sys.stderr if err else sys.stdout)


def print_tables(tables: Sequence[Table[Any]], *, before: Iterable[str] = (), notes: Iterable[str] = ()) -> None:
    """At least 100 columns wide on a terminal, so that no column vanishes; 200 in a file or a CI log, so that nothing wraps."""
    from rich.console import Console

    from engram_eval.tables.terminal import to_text

    console = Console(highlight=False, emoji=False)
    console.width = max(console.width, 100) if sys.stdout.isatty() else 200
    print(to_text(tables, before=before, notes=notes, console=console))
