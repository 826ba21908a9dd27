"""The command line as a whole: what it imports, and that every setting has its flag."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engram_eval.cli.main import COMMANDS, parse
from engram_eval.run.settings import Settings, declared

_HEAVY = ("pydantic", "numpy", "pandas", "openai", "rich", "tokenizers", "engram_eval.run", "engram_eval.registry")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_top_level_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """pydantic alone takes as long as all the rest of the help."""
    program = (
        "import sys\nfrom engram_eval.cli.main import main\n"
        f"try: main({arguments})\nexcept SystemExit: pass\n"
        "print('\\nIMPORTED', *sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    imported = output.partition("IMPORTED")[2].split()
    assert "engram_eval.cli.main" in imported
    assert not [name for name in imported if name.startswith(_HEAVY)]
    assert not [name for name in imported if name.removeprefix("engram_eval.cli.") in COMMANDS]


def test_a_command_imports_no_other_command() -> None:
    program = "import sys\nfrom engram_eval.cli.main import parse\nparse(['compare', 'x'])\nprint(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    commands = {name.removeprefix("engram_eval.cli.") for name in output.split()} & COMMANDS.keys()
    assert commands == {"compare"}


def test_every_setting_is_a_flag_of_run_or_belongs_to_a_file() -> None:
    options = vars(parse(["run"]))
    assert {name for name in Settings.model_fields if name not in options} == {"variants", "reference"}
    assert {name for name, setting in declared().items() if setting.group == "file"} == {"variants", "reference"}
    assert not [name for name in Settings.model_fields if options.get(name) is not None]


def test_every_flag_has_a_help_text() -> None:
    assert all(setting.help for setting in declared().values() if setting.group != "file")
