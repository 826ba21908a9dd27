"""Chooses which backends are compared with each other: the memories and the control `degraded`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engram_eval.compare.notes import NoteKind
from engram_eval.compare.rows import BackendRow
from engram_eval.errors import UserError
from engram_eval.metrics.accuracy import ACCURACY
from engram_eval.results.manifest import Manifest
from engram_eval.tables.note import Note

RowPair = tuple[BackendRow, BackendRow]


def every_pair(rows: Sequence[BackendRow]) -> list[RowPair]:
    paired = _paired(rows)
    return [(first, second) for i, second in enumerate(paired) for first in paired[i + 1 :]]


def reference_pairs(
    rows: Sequence[BackendRow], manifests: Mapping[str, Manifest], against: str | None
) -> list[RowPair]:
    """Pairs each memory with the first of these that the runs have:

    `against`; the same memory in an earlier run on the same data; for a variant, the unaltered backend; the experiment's
    `reference`; the full history; the most accurate memory. The reference itself is not paired with anything. Raises UserError
    if no row is named `against`.
    """
    paired = _paired(rows)
    if against is not None:
        named = _find(against, rows)
        if named is None:
            raise UserError(
                f"--against {against}: is not one of the compared backends, which are {', '.join(row.name for row in rows)}"
            )
        return [(row, named) for row in paired if row is not named]
    reference = _reference(rows, manifests)
    pairs = []
    for row in paired:
        earlier = next(r for r in paired if r.label == row.label and _same_data(r, row, manifests))
        partner = earlier if earlier is not row else _unaltered(row, rows, manifests) or reference
        if partner is not None and row is not reference and row is not partner:
            pairs.append((row, partner))
    return pairs


def _reference(rows: Sequence[BackendRow], manifests: Mapping[str, Manifest]) -> BackendRow | None:
    settings = next(iter(manifests.values())).settings
    reference = settings.get("reference")
    named = _find(reference, rows) if isinstance(reference, str) else None
    unaltered = [row for row in _memories(rows) if _unaltered(row, rows, manifests) is None]
    full_history = next((row for row in unaltered if row.summary.context_limit == "window"), None)
    most_accurate = max(unaltered, key=lambda row: row.summary.mean(ACCURACY.name) or 0.0, default=None)
    return named or full_history or most_accurate


def _unaltered(row: BackendRow, rows: Sequence[BackendRow], manifests: Mapping[str, Manifest]) -> BackendRow | None:
    """The unaltered backend of a variant, in the same run; None if the row is not a variant."""
    base = variants(manifests[row.run]).get(row.label)
    return None if base is None else _find(base, [r for r in rows if r.run == row.run and r.summary.answered])


def _find(label: str, rows: Sequence[BackendRow]) -> BackendRow | None:
    return next((row for row in rows if label in (row.name, row.label)), None)


def _same_data(first: BackendRow, second: BackendRow, manifests: Mapping[str, Manifest]) -> bool:
    return manifests[first.run].dataset.sha256 == manifests[second.run].dataset.sha256


def _memories(rows: Sequence[BackendRow]) -> list[BackendRow]:
    return [row for row in rows if row.is_memory and row.summary.answered]


def _paired(rows: Sequence[BackendRow]) -> list[BackendRow]:
    memories = _memories(rows)
    return [row for row in rows if row in memories or row.label == "degraded"]


def variants(manifest: Manifest) -> dict[str, str]:
    """The name of the unaltered backend of each variant in a run, by the variant's label."""
    settings = manifest.settings.get("variants")
    if not isinstance(settings, dict):
        return {}
    return {label: str(values["backend"]) for label, values in settings.items() if isinstance(values, dict)}


def variants_note(manifests: Mapping[str, Manifest]) -> list[Note]:
    """How variants are paired, if a run has a variant together with its unaltered backend."""
    if not any(base in manifest.backends for manifest in manifests.values() for base in variants(manifest).values()):
        return []
    return [
        Note(
            NoteKind.VARIANTS,
            "Variants: each is paired with its unaltered backend; --against NAME pairs all of them with one backend.",
        )
    ]
