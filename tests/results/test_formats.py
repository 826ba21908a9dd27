"""Format versions: what an older or a newer version of the project wrote is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engram_eval.errors import UserError
from engram_eval.gate import baseline_json, read_baseline, scores
from engram_eval.results.folder import RunFolder
from tests.records import probe, run, write_run


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path / "run", run())


def _rewrite(path: Path, written: int | None) -> None:
    """Gives each JSON value in the file another format number, or none."""
    text = path.read_text("utf-8")
    values = list(map(json.loads, text.splitlines())) if path.suffix == ".jsonl" else [json.loads(text)]
    for value in values:
        del value["format"]
        if written is not None:
            value["format"] = written
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), "utf-8")


@pytest.mark.parametrize(
    ("written", "description"),
    [
        (None, "is in an older format, and this version of engram_eval reads format 2; "),
        (1, "is in format 1, and this version of engram_eval reads format 2; "),
        (3, "is in format 3, and this version of engram_eval reads format 2; install a newer engram_eval"),
    ],
)
@pytest.mark.parametrize("kind", ["manifest", "records", "baseline"])
def test_another_format_is_refused_in_one_sentence(
    folder: RunFolder, tmp_path: Path, kind: str, written: int | None, description: str
) -> None:
    baseline = tmp_path / "base.json"
    baseline.write_bytes(baseline_json(scores(folder, controls=False, latency=False)))
    path, where, read = {
        "manifest": (folder.manifest_path, str(folder.manifest_path), folder.manifest),
        "records": (folder.records_path, f"{folder.records_path}: line 1", lambda: list(folder.records())),
        "baseline": (baseline, str(baseline), lambda: read_baseline(baseline)),
    }[kind]
    _assert_readable(read)
    _rewrite(path, written)
    with pytest.raises(UserError) as refusal:
        read()
    sentence = str(refusal.value)
    assert sentence.startswith(f"{where}: {description}")
    assert "\n" not in sentence


def test_a_mistyped_probe_in_a_manifest_is_refused_in_one_sentence(folder: RunFolder) -> None:
    manifest = json.loads(folder.manifest_path.read_text())
    manifest["probe"] = probe(note="Judge probe: none.")
    folder.manifest_path.write_text(json.dumps(manifest))
    assert folder.manifest().probe
    manifest["probe"]["false_accept"]["rate"] = "none"
    folder.manifest_path.write_text(json.dumps(manifest))
    with pytest.raises(UserError) as refusal:
        folder.manifest()
    assert str(refusal.value) == (
        f"{folder.manifest_path}: 'probe.false_accept.rate' is 'none', not a number; "
        "name the folder of another run, or run it again"
    )


def _assert_readable(read: Callable[[], Any]) -> None:
    assert read()
