"""Write docs/command-line.md from the commands' own help. `make docs` runs it, and a test compares the page with it."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

from engram_eval.cli.main import main

PAGE = Path(__file__).with_name("command-line.md")
_INTRODUCTION = """# Command line

This page is generated from `--help` by `make docs`. Every command also takes `--debug`, which shows tracebacks.
"""


def command_line_page() -> str:
    overview = _help()
    commands = re.findall(r"^ {4}([a-z-]+)(?: {2,}\S|$)", overview, re.MULTILINE)
    sections = [_section("engram-eval", overview)]
    for command in commands:
        text = _help(command)
        sections.append(_section(f"engram-eval {command}", text))
        actions = re.findall(r"^ {4}([a-z-]+)(?: {2,}\S|$)", text, re.MULTILINE)
        sections += [_section(f"engram-eval {command} {action}", _help(command, action)) for action in actions]
    return "\n".join([_INTRODUCTION, *sections])


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.rstrip()}\n```\n"


def _help(*arguments: str) -> str:
    output = io.StringIO()
    with patch.dict(os.environ, COLUMNS="100", NO_COLOR="1"), redirect_stdout(output), suppress(SystemExit):
        main([*arguments, "--help"])
    return output.getvalue()


if __name__ == "__main__":
    PAGE.write_text(command_line_page(), encoding="utf-8")
