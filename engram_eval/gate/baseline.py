"""A baseline: scores as a JSON file to be committed, and read in a diff."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engram_eval import __version__
from engram_eval.compare.mismatches import parts
from engram_eval.errors import UserError
from engram_eval.gate.scores import DIGITS, HEADLINE, Line, Scores
from engram_eval.tables.text import plural


def baseline_json(of: Scores) -> bytes:
    """The same bytes for the same scores, a line a question and backend: made to be read in a diff."""

    def block(values: Mapping[str, Any]) -> str:
        return "{\n" + ",\n".join(f"{_dump(key)}: {_dump(value)}" for key, value in values.items()) + "\n}"

    backends = ",\n".join(
        f'{_dump(label)}: {{"settings": {_dump(of.settings[label])}, "lines": {block(lines)}}}'
        for label, lines in of.lines.items()
    )
    sections = [
        f'"engram_eval": {_dump(__version__)}',
        f'"experiment": {block(of.experiment)}',
        f'"questions": {block(of.questions)}',
        f'"columns": {_dump(of.columns)}',
        f'"backends": {{\n{backends}\n}}',
    ]
    return ("{\n" + ",\n".join(sections) + "\n}\n").encode("utf-8", "backslashreplace")


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def read_baseline(path: Path) -> Scores:
    """Raises UserError for what is not a baseline of this version."""
    anew = "write it anew with 'engram-eval baseline RUN -o FILE'"
    try:
        found = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {anew}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: is not JSON; {anew}") from None
    try:
        columns = tuple(str(name) for name in found["columns"])
        read = Scores(
            str(path), str(found["engram_eval"]), dict(found["experiment"]), columns,
            {question: (str(where), str(what)) for question, (where, what) in found["questions"].items()},
            {label: dict(of["settings"]) for label, of in found["backends"].items()},
            {
                label: {question: _read_line(line, columns) for question, line in of["lines"].items()}
                for label, of in found["backends"].items()
            },
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: is not a baseline of this version ({error}); {anew}") from None
    if "correct" not in columns or set(parts()) != read.experiment.keys() or not read.experiment[HEADLINE]:
        raise UserError(f"{path}: is not a baseline of this version (it does not say what was measured); {anew}")
    for label, lines in read.lines.items():
        if lines.keys() != read.questions.keys():
            raise UserError(f"{path}: {label} has {len(lines):,} of {plural(len(read.questions), 'question')}; {anew}")
        if not any(lines.values()):
            raise UserError(f"{path}: {label} has no answered question; {anew}")
    if not read.questions or not read.lines:
        raise UserError(f"{path}: holds no scores; {anew}")
    return read


def _read_line(line: Any, columns: Sequence[str]) -> Line | None:
    if line is None:
        return None
    good = len(line) == len(columns) and all(
        value is None
        or (
            isinstance(value, int | float)
            and 0 <= value < math.inf
            and (value <= 1 or column in DIGITS)  # what is no length, time or money is a share
        )
        for column, value in zip(columns, line, strict=True)
    )
    if not good:
        raise ValueError(f"a line of scores is {_dump(line):.60}")
    return tuple(line)


def write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); name another file") from None
