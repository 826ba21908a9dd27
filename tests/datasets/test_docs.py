"""docs/datasets.md: its example of own data is sound, its tables are complete. (tests/docs runs its commands.)"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from engram_eval import registry
from engram_eval.cli.main import main
from engram_eval.datasets import catalogue
from engram_eval.datasets.dialogues.record import json_schema

_PAGE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text("utf-8")


def _blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", _PAGE, re.DOTALL)


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_the_table_has_every_dataset_with_its_licence_and_citation(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|.*$", _PAGE, re.MULTILINE)
    benchmark = catalogue.benchmark(name)
    assert f"| {benchmark.licence} |" in row
    assert benchmark.citation in row or "as above" in row
    assert benchmark.homepage in _PAGE


def test_the_example_of_own_data_is_sound_in_both_forms(tmp_path: Path) -> None:
    line, spread = json.loads(_blocks("json")[0]), json.loads(_blocks("text")[0])
    assert line == spread
    file = tmp_path / "my.jsonl"
    file.write_text(_blocks("json")[0])
    assert main(["datasets", "check", str(file)]) == 0
    assert main(["run", "--data", str(file), "--backend", "bm25", "--no-controls", "--out", str(tmp_path / "run")]) == 0


def test_the_table_of_keys_has_every_key() -> None:
    schema = json_schema()
    keys = {*schema["properties"], *(key for part in schema["$defs"].values() for key in part["properties"])}
    table = _PAGE.partition("| key | of |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:]))) == keys
