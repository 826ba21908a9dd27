"""The registry: what it keeps of a backend's settings."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from engram_eval.registry import settings_of


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
