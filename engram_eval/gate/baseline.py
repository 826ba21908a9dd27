"""A baseline: scores as a JSON file that is committed and read in a diff."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, JsonValue, model_validator

from engram_eval import __version__
from engram_eval.compare.experiment import PARTS
from engram_eval.gate.scores import Line, Scores
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.metrics.measures import gated_measures
from engram_eval.results.stored import FORMAT, Stored, check_format
from engram_eval.system.files import make_folder, read_bytes, write_file
from engram_eval.tables.text import plural

_FIX = "write it again with 'engram-eval baseline RUN -o FILE'"
_NAME_ANOTHER = "name another file"


class BaselineBackend(Stored):
    """A backend's settings, and its lines by question id."""

    settings: dict[str, JsonValue]
    lines: dict[str, Line | None]


class Baseline(Stored):
    """The file. `experiment` is keyed by `compare.experiment.PARTS`, `columns` are names of measures."""

    format: Annotated[int, AfterValidator(check_format)]
    engram_eval: str
    experiment: dict[str, JsonValue]
    questions: dict[str, tuple[str, str]]
    columns: tuple[str, ...]
    backends: dict[str, BaselineBackend]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if ACCURACY.name not in self.columns or set(PARTS) != self.experiment.keys() or not self.experiment["headline"]:
            raise ValueError("does not say what was measured")
        if not self.questions or not self.backends:
            raise ValueError("holds no scores")
        for label, backend in self.backends.items():
            if backend.lines.keys() != self.questions.keys():
                questions = plural(len(self.questions), "question")
                raise ValueError(f"{label} has {len(backend.lines):,} of {questions}")
            if not any(backend.lines.values()):
                raise ValueError(f"{label} has no answered question")
        self._check_lines()
        return self

    def _check_lines(self) -> None:
        shares = {measure.name for measure in gated_measures() if measure.unit in ("0 or 1", "share")}
        highest = [1.0 if column in shares else sys.float_info.max for column in self.columns]
        for label, backend in self.backends.items():
            for question, line in backend.lines.items():
                if line is None:
                    continue
                if len(line) != len(self.columns):
                    raise ValueError(f"{label} has {len(line)} scores for {len(self.columns)} columns at {question}")
                for column, value, most in zip(self.columns, line, highest, strict=True):
                    if value is not None and not 0 <= value <= most:
                        raise ValueError(f"the {column} of {label} at {question} is {value}")


def read_baseline(path: Path) -> Scores:
    """Raises UserError for any file that is not a baseline of this version."""
    baseline = Baseline.read(read_bytes(path, fix=_FIX), str(path), _FIX)
    return Scores(
        where=str(path),
        version=baseline.engram_eval,
        experiment=baseline.experiment,
        columns=baseline.columns,
        questions=baseline.questions,
        settings={label: backend.settings for label, backend in baseline.backends.items()},
        lines={label: backend.lines for label, backend in baseline.backends.items()},
    )


def baseline_json(scores: Scores) -> bytes:
    """A baseline file: the same bytes for the same scores, one line per question and backend, so that a diff can be read."""
    backends = ",\n".join(
        f'{_dump(label)}: {{"settings": {_dump(scores.settings[label])}, "lines": {_block(lines)}}}'
        for label, lines in scores.lines.items()
    )
    sections = [
        f'"format": {FORMAT}',
        f'"engram_eval": {_dump(__version__)}',
        f'"experiment": {_block(scores.experiment)}',
        f'"questions": {_block(scores.questions)}',
        f'"columns": {_dump(scores.columns)}',
        f'"backends": {{\n{backends}\n}}',
    ]
    return ("{\n" + ",\n".join(sections) + "\n}\n").encode("utf-8", "backslashreplace")


def _block(values: Mapping[str, Any]) -> str:
    return "{\n" + ",\n".join(f"{_dump(key)}: {_dump(value)}" for key, value in values.items()) + "\n}"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def write(path: Path, content: bytes) -> None:
    """Writes the file and makes its folder. Raises UserError."""
    make_folder(path.parent, fix=_NAME_ANOTHER)
    write_file(path, content, fix=_NAME_ANOTHER)
