"""The rows of a comparison: the backends of finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_eval.results.manifest import BackendEntry, Manifest
from engram_eval.results.summary import BackendSummary, Summary


@dataclass(frozen=True, slots=True)
class BackendRow:
    """One backend of one run. `name` is what tables show: the label, with the run's name if there are several runs.

    `run` is the path of the run's folder; `bound`: what limits its contexts, in words; None if that is unknown.
    """

    name: str
    label: str
    run: str
    bound: str | None
    entry: BackendEntry
    summary: BackendSummary

    @property
    def is_memory(self) -> bool:
        return self.summary.is_memory

    @property
    def is_budgeted(self) -> bool:
        """Whether it competes in retrieval. The full history does not: it has all evidence and nothing to rank."""
        return self.is_memory and self.summary.context_limit == "budget"

    def to_json(self) -> dict[str, Any]:
        """All figures: unrounded, shares from 0 to 1, times in seconds."""
        return {"backend": self.name, "run": self.run, "bound": self.bound, **self.summary.to_json()}


def backend_rows(manifests: Mapping[str, Manifest], summaries: Mapping[str, Summary]) -> list[BackendRow]:
    """The rows of all runs in order. Manifests and summaries are by the run's path."""
    names = run_names(list(summaries))
    return [
        BackendRow(
            f"{label} ({names[path]})" if len(summaries) > 1 else label,
            label,
            path,
            _bound(manifests[path], backend),
            manifests[path].backends[label],
            backend,
        )
        for path, summary in summaries.items()
        for label, backend in summary.backends.items()
    ]


def _bound(manifest: Manifest, backend: BackendSummary) -> str | None:
    if backend.context_limit == "budget":
        return None if manifest.budget is None else f"{manifest.budget:,}"
    return {"window": "window", "none": "none"}.get(backend.context_limit)


def run_names(paths: Sequence[str]) -> dict[str, str]:
    """Short names by path: as many of the last parts of each path as are needed to distinguish the paths."""
    parts = {path: Path(path).absolute().parts for path in paths}
    longest = max(map(len, parts.values()))
    depth = next(
        d for d in range(1, longest + 1) if len({p[-d:] for p in parts.values()}) == len(parts) or d == longest
    )
    return {path: "/".join(p[-depth:]) for path, p in parts.items()}
