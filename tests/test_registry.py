"""The registry: what it finds, and what it keeps of a backend's settings."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from engram_eval import registry
from engram_eval.errors import UserError
from engram_eval.registry import resolve, settings_of


@dataclass
class _Place:
    folder: Path = Path("/somewhere")
    since: date = date(2024, 5, 1)


@dataclass
class _Backend:
    k: int = 3
    place: _Place = field(default_factory=_Place)
    model: object = _Place  # a class, for which JSON has nothing


def test_settings_that_json_does_not_have_are_kept_as_their_text() -> None:
    kept = settings_of(_Backend())
    assert json.loads(json.dumps(kept)) == kept
    assert kept["k"] == 3
    assert kept["place"] == {"folder": "/somewhere", "since": "2024-05-01"}
    assert "_Place" in str(kept["model"])


def test_an_object_without_fields_has_no_settings() -> None:
    assert settings_of(object()) == {}


def test_a_module_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lying_here.py").write_text("class Memory:\n    def open(self, conversation, services): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    assert registry.resolve("backends", "lying_here:Memory").__name__ == "Memory"


def test_a_packages_backend_that_is_broken_or_takes_a_built_in_name_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[engram_eval.backends]\nbm25 = others:Mine\nbroken = others_missing:Mine\n")
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path)])
    listed = {entry.name: entry.summary for entry in registry.describe_backends()}
    assert "NOT USABLE" in listed["broken"]
    assert "NOT USABLE" not in listed["bm25"]
    assert "'bm25' is a built-in backend" in capsys.readouterr().err
    assert registry.resolve("backends", "bm25").__module__.startswith("engram_eval.")


def test_a_host_without_a_scheme_is_told_from_a_module() -> None:
    with pytest.raises(UserError, match="named by its URL, as in http://localhost:9000"):
        resolve("backends", "localhost:9000")
