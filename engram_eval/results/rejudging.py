"""`rejudge.json`: which run's answers were judged again, and where each judge's verdicts are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from engram_eval.results.stored import FORMAT, Stored, Text, check_format
from engram_eval.system.files import make_folder, read_bytes, write_file

_NAME = "rejudge.json"


class Rejudging(Stored):
    """`run`: the folder of the judged run. `judges`: by the judge's label, the name of its folder beside this file."""

    format: Annotated[int, AfterValidator(check_format)] = FORMAT
    run: Text
    judges: dict[Text, Text]


def read_rejudging(folder: Path) -> Rejudging:
    """Raises UserError for a folder that holds none."""
    content = read_bytes(folder / _NAME, fix=f"is {folder} the folder of 'engram-eval rejudge'?")
    return Rejudging.read(content, str(folder / _NAME), "judge the run again in another folder")


def write_rejudging(folder: Path, rejudging: Rejudging) -> None:
    fix = "name another folder with --out"
    make_folder(folder, fix=fix)
    write_file(folder / _NAME, rejudging.write(indent=2) + b"\n", fix=fix)


def holds_rejudging(folder: Path) -> bool:
    return (folder / _NAME).exists()
