"""Errors that a user can cause."""

from __future__ import annotations

import sys


class UserError(Exception):
    """Bad input or configuration, told in one sentence: what is wrong, where (file, line or record), how to mend it.

    The command line prints it without a traceback and exits with 2.
    """


def note(what: str) -> None:
    """One line on stderr: something was not as it should be, and was made up for."""
    print(f"note: {what}", file=sys.stderr)
