"""The folder for data that can be downloaded or computed again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """`$ENGRAM_EVAL_CACHE`, or the system's folder for caches. Creates nothing."""
    override = os.environ.get("ENGRAM_EVAL_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("engram_eval"))
