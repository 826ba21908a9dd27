"""Whether two runs are the same experiment: only then are their figures comparable."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engram_eval.results.manifest import Experiment


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an experiment: `phrase` is its name in messages; `value` returns None if it is unknown."""

    phrase: str
    value: Callable[[Experiment], Any]


def _prompts(role: str) -> Callable[[Experiment], dict[str, str] | None]:
    def value(experiment: Experiment) -> dict[str, str] | None:
        return {name: sha[:12] for name, sha in experiment.prompts.items() if name.startswith(f"{role}_")} or None

    return value


# What two runs must share. The settings of backends are not included: they are what is compared.
_PARTS = {
    "dataset_sha256": _Part("dataset", lambda run: run.dataset.sha256),
    "dataset_name": _Part("dataset's name", lambda run: run.dataset.name),
    "questions": _Part("number of questions", lambda run: run.dataset.questions),
    "categories": _Part("choice of categories", lambda run: list(run.dataset.categories)),
    "headline": _Part("choice of headline categories", lambda run: list(run.dataset.headline)),
    "reader": _Part("reader", lambda run: run.reader.name),
    "reader_model": _Part("reader's model", lambda run: run.reader.model),
    "reader_window": _Part("reader's window", lambda run: run.reader.window),
    "judge": _Part("judge", lambda run: run.judge.name),
    "judge_model": _Part("judge's model", lambda run: run.judge.model),
    "judge_votes": _Part("judge's number of votes", lambda run: run.judge.votes),
    "budget": _Part("budget", lambda run: run.budget),
    "token_encoding": _Part("token encoding", lambda run: run.token_encoding),
    "embedder": _Part("embedder", lambda run: run.embedder.name),
    "reader_prompts": _Part("reader's set of prompts", _prompts("reader")),
    "judge_prompts": _Part("judge's set of prompts", _prompts("judge")),
}
PARTS = tuple(_PARTS)
"""The keys of an identity."""

Identity = dict[str, Any]
"""What a run measured, as a JSON value for each of `PARTS`; None if it is unknown."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why two runs are not comparable. `part` is one of `PARTS`, or `answered` for runs that answered different questions."""

    part: str
    phrase: str
    text: str

    def __str__(self) -> str:
        return self.text


def identity(experiment: Experiment) -> Identity:
    return {key: part.value(experiment) for key, part in _PARTS.items()}


def mismatches(identities: Mapping[str, Mapping[str, Any]]) -> list[Mismatch]:
    """The parts in which the named identities differ. An unknown value differs from nothing."""
    differing = []
    for key, part in _PARTS.items():
        values = {name: value for name, known in identities.items() if (value := known.get(key)) is not None}
        if len({json.dumps(value, sort_keys=True) for value in values.values()}) > 1:
            listed = ", ".join(f"{name}: {_shown(value)}" for name, value in values.items())
            differing.append(Mismatch(key, part.phrase, f"the {part.phrase} differs ({listed})"))
    return differing


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {sha}" for name, sha in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)[:40]
