"""A file of answers made elsewhere."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_eval.errors import UserError
from engram_eval.system.json_input import Node, parse_line
from engram_eval.tables.text import plural

_FORM = "what 'engram-eval judge --help' says of a line"
_COUNTS = ("prompt_tokens", "completion_tokens")
_AMOUNTS = ("cost_usd", "retrieval_s", "answer_s")
_MOST = 2**53  # beyond it a float does not tell one count from the next; no real figure comes near


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer as it stands in the file. `told` holds those of the optional figures that the line has, by name."""

    line: int
    text: str
    context: str | None
    told: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a file by question id, in the order of its lines."""

    path: Path
    sha256: str
    by_id: Mapping[str, Recorded]
    aside: list[str]
    """What of the optional fields could not be taken, a sentence each."""


def read_answers(path: Path) -> Answers:
    """Raises UserError with file and line for whatever is no answer, and for a question that is answered twice."""
    digest = hashlib.sha256()
    by_id: dict[str, Recorded] = {}
    wrong: dict[str, list[int]] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                digest.update(line)
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if not line.strip():
                    continue
                question_id, answer = _answer(parse_line(line.rstrip(), path, number, _FORM), number, wrong)
                if question_id in by_id:
                    raise UserError(
                        f"{path}: line {number}: {question_id!r} is answered a second time, first in line "
                        f"{by_id[question_id].line}; leave one of the two lines out"
                    )
                by_id[question_id] = answer
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; name a file of answers") from None
    except IsADirectoryError:
        raise UserError(f"{path}: this is a folder; name the file of answers in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); check the name and its permissions") from None
    if not by_id:
        raise UserError(f"{path}: line 1: holds no answer; give it one JSON object a line")
    aside = [
        f"{name} of {plural(len(lines), 'line')} (the first: line {lines[0]}) is not {_wanted(name)} and is left aside"
        for name, lines in wrong.items()
    ]
    return Answers(path, digest.hexdigest(), by_id, aside)


def _answer(line: Node, number: int, wrong: dict[str, list[int]]) -> tuple[str, Recorded]:
    """Question id and answer; in `wrong` the numbers of the lines whose optional fields are of a wrong type."""
    question_id = line.get("question_id").scalar()
    key = "hypothesis" if line.has("hypothesis") else "answer"
    if not line.has(key):
        raise line.fault("has no 'hypothesis' and no 'answer'; leave out the line of a question without an answer")
    context, told = None, {}
    for name in ("context", *_COUNTS, *_AMOUNTS):
        if not line.has(name):
            continue
        value = line.get(name).value
        if name == "context" and isinstance(value, str):
            context = line.get(name).text()
        elif name != "context" and _is_figure(name, value):
            told[name] = value
        else:
            wrong.setdefault(name, []).append(number)
    return question_id, Recorded(number, line.get(key).scalar(), context, told)


def _is_figure(name: str, value: Any) -> bool:
    kinds = (int,) if name in _COUNTS else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < _MOST and math.isfinite(value)


def _wanted(name: str) -> str:
    if name == "context":
        return "text"
    return "a whole number from 0" if name in _COUNTS else "a number from 0"
