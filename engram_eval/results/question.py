"""One question of a run: its records, with the contexts and the evidence in full."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from engram_eval.errors import UserError
from engram_eval.results.contexts import TURN_MARK
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record


@dataclass(frozen=True, slots=True)
class QuestionRecords:
    """`records`: in the order of the table. `contexts`: by backend, where they were kept. `evidence`: the turns' texts."""

    records: list[Record]
    contexts: dict[str, str]
    evidence: list[str]


def read_question(run: Path, question_id: str, backends: Collection[str] = ()) -> QuestionRecords:
    """The records of a question, of these backends or of all. Raises UserError if there are none."""
    folder = RunFolder(run)
    labels = list(folder.manifest().backends)
    for name in backends:
        if name not in labels:
            raise UserError(f"{run}: has no backend {name!r}; it has {', '.join(labels)}")
    all_records = [record for record in folder.records() if record.question_id == question_id]
    records = [record for record in all_records if record.backend in (backends or labels)]
    if not records:
        raise UserError(f"{run}: has no record of question {question_id!r}; see records.jsonl for its ids")
    with folder.contexts() as contexts:
        evidence = next((text for record in all_records if (text := contexts.get(record.evidence_text))), "")
        texts = {record.backend: contexts.get(record.context) for record in records}
    return QuestionRecords(
        sorted(records, key=lambda record: labels.index(record.backend)),
        {backend: text for backend, text in texts.items() if text is not None},
        evidence.split(TURN_MARK) if evidence else [],
    )
