"""Where things that can be had again are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """`$ENGRAM_EVAL_CACHE`, or the system's own place for caches. Not created here."""
    named = os.environ.get("ENGRAM_EVAL_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("engram_eval"))
