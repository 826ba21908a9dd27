"""Whether two runs are the same experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What two runs must share for their numbers to be compared: where it stands in the manifest, and its name in prose. A backend's
# own settings are not among it: they are what is compared.
EXPERIMENT = {
    "dataset": ("dataset", "sha256"),
    "dataset's name": ("dataset", "name"),
    "number of questions": ("dataset", "questions"),
    "choice of categories": ("dataset", "categories"),
    "choice of headline categories": ("dataset", "headline"),
    "reader": ("reader", "name"),
    "reader's model": ("reader", "model"),
    "reader's window": ("reader", "window"),
    "judge": ("judge", "name"),
    "judge's model": ("judge", "model"),
    "judge's number of votes": ("judge", "votes"),
    "budget": ("budget",),
    "token encoding": ("token_encoding",),
    "embedder": ("embedder", "name"),
}


def run_names(paths: Sequence[str]) -> dict[str, str]:
    """The last parts of the paths, as many as tell them apart."""
    parts = {path: Path(path).absolute().parts for path in paths}
    longest = max(map(len, parts.values()))
    depth = next(
        d for d in range(1, longest + 1) if len({p[-d:] for p in parts.values()}) == len(parts) or d == longest
    )
    return {path: "/".join(p[-depth:]) for path, p in parts.items()}


def parts() -> list[str]:
    """By what an experiment is told from another, in prose."""
    return [*EXPERIMENT, *(f"{role}'s set of prompts" for role in ("reader", "judge"))]


def identity(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment that a run is, by the names of its parts in prose; None for what is not known."""
    prompts = manifest["prompts"]
    asked = {
        f"{role}'s set of prompts": {name: sha[:12] for name, sha in prompts.items() if name.startswith(f"{role}_")}
        or None
        for role in ("reader", "judge")
    }
    return {**{name: value_at(manifest, keys) for name, keys in EXPERIMENT.items()}, **asked}


def differences(identities: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where what goes by these names is not the same experiment, a phrase each. What is not known does not differ."""
    found = []
    for part in next(iter(identities.values()), {}):
        values = {name: value for name, of in identities.items() if (value := of.get(part)) is not None}
        if len({json.dumps(value, sort_keys=True) for value in values.values()}) > 1:
            listed = ", ".join(f"{name}: {_shown(value)}" for name, value in values.items())
            found.append(f"the {part} differs ({listed})")
    return found


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {sha}" for name, sha in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)[:40]


def value_at(manifest: Mapping[str, Any], keys: Sequence[str]) -> Any:
    value: Any = manifest
    for key in keys:
        value = value.get(key)
    return value
