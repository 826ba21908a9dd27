"""Who is paired with whom, by the rows of a comparison: the memories, and of the controls `degraded`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engram_eval.errors import UserError
from engram_eval.tables.table import Row


def every_two(rows: Sequence[Row], labels: Mapping[str, str]) -> list[tuple[Row, Row]]:
    paired = _paired(rows, labels)
    return [(one, other) for i, other in enumerate(paired) for one in paired[i + 1 :]]


def with_partners(
    rows: Sequence[Row],
    labels: Mapping[str, str],
    data: Mapping[str, Any],
    manifests: Mapping[str, Mapping[str, Any]],
    against: str | None,
) -> list[tuple[Row, Row]]:
    """Each memory with one other: `against` if it is named; else with itself in an earlier run of the same data; else, a
    variant, with the backend that it is a variant of, unaltered; else with the experiment's `reference`; else with the full
    history; else with the best. What is there is taken, and the reference itself has no partner."""

    def find(label: str | None, among: Sequence[Row]) -> Row | None:
        return next(
            (row for row in among if label is not None and label in (row["backend"], labels[row["backend"]])), None
        )

    def base(row: Row) -> Row | None:
        """What a variant is of, in the same run."""
        of = _variants(manifests[row["run"]]).get(labels[row["backend"]])
        return find(of, [other for other in rows if other["run"] == row["run"] and other["answered"]])

    if against is not None:
        named = find(against, rows)
        if named is None:
            raise UserError(f"--against {against}: none of the backends compared; they are {', '.join(labels)}")
        return [(row, named) for row in _paired(rows, labels) if row is not named]
    unaltered = [row for row in _memories(rows) if base(row) is None]
    settings = next(iter(manifests.values()))["settings"]
    reference = (
        find(settings.get("reference"), rows)
        or next((row for row in unaltered if row["context_limit"] == "window"), None)
        or max(unaltered, key=lambda row: float(row["accuracy"]), default=None)
    )
    made = []
    for row in (paired := _paired(rows, labels)):
        first = next(
            other
            for other in paired
            if labels[other["backend"]] == labels[row["backend"]] and data[other["run"]] == data[row["run"]]
        )
        partner = first if first is not row else base(row) or reference
        if partner is not None and row is not reference and row is not partner:
            made.append((row, partner))
    return made


def variants_note(manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is to be said of a run that has a variant together with the backend that it is of."""
    if not any(base in of["backends"] for of in manifests.values() for base in _variants(of).values()):
        return []
    return [
        "Variants: in the pairs each stands against the backend that it is a variant of, unaltered; --against NAME sets all "
        "against one."
    ]


def _memories(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not row["control"] and not row["sees_evidence"] and row["answered"]]


def _paired(rows: Sequence[Row], labels: Mapping[str, str]) -> list[Row]:
    """Who is paired: the memories, and of the controls `degraded`."""
    memories = _memories(rows)
    return [row for row in rows if row in memories or labels[row["backend"]] == "degraded"]


def _variants(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The backend that each variant of a run is of."""
    return {label: of["backend"] for label, of in manifest["settings"].get("variants", {}).items()}
