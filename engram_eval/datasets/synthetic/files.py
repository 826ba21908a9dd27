"""Writes generated records to a file in the official format, a JSON array."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_json_array(records: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Writes the records one at a time and returns their number. The file gets its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    count = 0
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write("[")
            for record in records:
                file.write(",\n" if count else "\n")
                json.dump(record, file, ensure_ascii=False)
                count += 1
            file.write("\n]\n")
        part.chmod(0o644)  # mkstemp creates files that only their owner can read
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count
