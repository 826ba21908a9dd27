"""Prompts: text files whose names carry a version. A changed prompt is a new file, never an edited one.

Each prompt is next to the code that uses it: in a benchmark's folder, in `judges/prompts`, in `backends/engram/prompts`.
The manifest keeps their hashes, so that runs under different prompts are not compared as the same experiment.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Prompt:
    """`name` begins with the role that uses it: `reader_`, `judge_`, or a backend's name."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_prompt(folder: Path, name: str) -> Prompt:
    """The prompt in `NAME.txt` of a folder."""
    return Prompt(name, (folder / f"{name}.txt").read_text("utf-8").strip())
