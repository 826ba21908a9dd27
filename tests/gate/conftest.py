"""A baseline of an unchanged run, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate.runs import command, write_run


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """`base.json`, the baseline of the run `before`; the test runs in their folder."""
    monkeypatch.chdir(tmp_path)
    assert command("baseline", str(write_run(name="before")), "-o", "base.json") == 0
    capsys.readouterr()
    return Path("base.json")
