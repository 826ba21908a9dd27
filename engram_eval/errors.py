"""Errors that a user can cause."""

from __future__ import annotations

import sys


class UserError(Exception):
    """Bad input or configuration, in one sentence: what is wrong, where (file, line or record), how to fix it.

    The command line prints it without a traceback and exits with 2.
    """


def note(text: str) -> None:
    """Prints one line on stderr: something went wrong and was worked around."""
    from engram_eval.tables.text import visible

    print(f"note: {visible(text)}", file=sys.stderr)
