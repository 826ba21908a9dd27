"""Answers made elsewhere, from a file or from a mapping.

A line of the file is a JSON object: LongMemEval's official {"question_id", "hypothesis"}, or {"question_id", "answer"} with
the ids of this project's questions ("conv-26:q0"). Other tools name the answer `response`, `prediction` or `generated_answer`.
Where `answer` is beside one of these names, it is the gold, copied from the dataset, and is not read. A line may also have
`context` (the text that the answer was made from), `prompt_tokens`, `completion_tokens`, `cost_usd`, `retrieval_s` and
`answer_s`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError
from engram_eval.system.json_input import Node, parse_line, read_json_lines
from engram_eval.tables.text import plural

ANSWER_KEYS = (
    "hypothesis", "response", "prediction", "generated_answer", "predicted_answer", "model_answer", "model_response",
)  # fmt: skip
"""The keys of a system's answer. A line has one of these, or `answer` alone."""
_FORM = "the line format in 'engram-eval judge --help'"
_COUNTS = ("prompt_tokens", "completion_tokens")
_AMOUNTS = ("cost_usd", "retrieval_s", "answer_s")
_TOO_LARGE = 2**53  # above this, a float cannot represent every whole number; no real figure is as large


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """One answer. `figures` holds the optional numbers that are known, by name. `line` is 0 if it comes from no file."""

    line: int
    text: str
    context: str | None
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers by question id, in their order. `path`: of the file; None if they come from a mapping."""

    path: Path | None
    sha256: str
    by_id: Mapping[str, RecordedAnswer]
    ignored: tuple[str, ...] = ()
    """Optional fields that could not be used, one sentence each."""

    @property
    def origin(self) -> str:
        """Where they come from, in words."""
        return str(self.path) if self.path else "the given answers"


def answers_from_mapping(answers: Mapping[str, str]) -> Answers:
    """The answers to questions, by question id. Raises UserError if there are none, or one is not text."""
    if not answers:
        raise UserError("the given answers are empty; give at least one, by question id")
    for question_id, text in answers.items():
        if not isinstance(question_id, str) or not isinstance(text, str):
            raise UserError(f"the given answers: {question_id!r} has {text!r:.80}; give texts by question id")
    content = json.dumps(dict(answers), sort_keys=True).encode()
    by_id = {question_id: RecordedAnswer(0, text, None, {}) for question_id, text in answers.items()}
    return Answers(None, hashlib.sha256(content).hexdigest(), by_id)


def read_answers(path: Path) -> Answers:
    """Raises UserError with file and line for a line that is no answer, and for a question that is answered twice."""
    digest = hashlib.sha256()
    by_id: dict[str, RecordedAnswer] = {}
    answer_alone: list[Node] = []
    gold_beside: int | None = None
    unusable: dict[str, list[int]] = {}
    for number, line in read_json_lines(path, fix="name a file of answers"):
        digest.update(line)
        if not line.strip():
            continue
        node = parse_line(line.rstrip(), path, number, _FORM)
        key = _answer_key(node)
        if key == "answer":
            answer_alone.append(node)
        elif node.has("answer"):
            gold_beside = gold_beside or number
        question_id, answer = _answer(node, key, number, unusable)
        if question_id in by_id:
            raise UserError(
                f"{path}: line {number}: {question_id!r} is answered a second time, first in line "
                f"{by_id[question_id].line}; leave one of the two lines out"
            )
        by_id[question_id] = answer
    if not by_id:
        raise UserError(f"{path}: line 1: holds no answer; give it one JSON object per line")
    if gold_beside and answer_alone:
        raise answer_alone[0].fault(
            f"has only 'answer', which is the gold on other lines (line {gold_beside}); leave the line out if the system gave "
            "no answer"
        )
    ignored = tuple(
        f"{name} of {plural(len(lines), 'line')} (the first: line {lines[0]}) is not {_expected(name)} and is ignored"
        for name, lines in unusable.items()
    )
    return Answers(path, digest.hexdigest(), by_id, ignored)


def _answer_key(line: Node) -> str:
    """The key of the system's answer. Raises UserError if there is none, if it is null, or if there are two that differ."""
    keys = [key for key in ANSWER_KEYS if key in line.names()] or [key for key in ("answer",) if key in line.names()]
    if not keys:
        raise line.fault("has no 'hypothesis' and no 'answer'; leave out the line of a question without an answer")
    for key in keys:
        if not line.has(key):
            raise line.fault(f"{key!r} is null; leave out the line of a question without an answer")
    if len({line.get(key).scalar() for key in keys}) > 1:
        raise line.fault(f"{' and '.join(map(repr, keys))} differ; leave in the one that is the system's answer")
    return keys[0]


def _answer(line: Node, key: str, number: int, unusable: dict[str, list[int]]) -> tuple[str, RecordedAnswer]:
    """Question id and answer. Adds to `unusable` the line's number for each optional field of a wrong type."""
    question_id = line.get("question_id").scalar()
    context, figures = None, {}
    for name in ("context", *_COUNTS, *_AMOUNTS):
        if not line.has(name):
            continue
        value = line.get(name).value
        if name == "context" and isinstance(value, str):
            context = line.get(name).text()
        elif name != "context" and _is_figure(name, value):
            figures[name] = value
        else:
            unusable.setdefault(name, []).append(number)
    return question_id, RecordedAnswer(number, line.get(key).scalar(), context, figures)


def _is_figure(name: str, value: Any) -> bool:
    kinds = (int,) if name in _COUNTS else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < _TOO_LARGE and math.isfinite(value)


def _expected(name: str) -> str:
    if name == "context":
        return "text"
    return "a whole number from 0" if name in _COUNTS else "a number from 0"
