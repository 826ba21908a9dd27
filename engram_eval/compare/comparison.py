"""A comparison: the backends of one or more finished runs in one set of tables, with notes on how to read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engram_eval.compare.experiment import Mismatch, identity, mismatches
from engram_eval.compare.notes import NoteKind, has_session_table, run_notes
from engram_eval.compare.paired_tests import Outcome, Outcomes, Pair, compare_pairs, pair_notes
from engram_eval.compare.pairing import every_pair, reference_pairs, variants_note
from engram_eval.compare.result_tables import (
    accuracy_pairs_table,
    answers_table,
    context_table,
    failures_table,
    measure_pairs_table,
    money_table,
    sessions_table,
    time_table,
)
from engram_eval.compare.rows import BackendRow, backend_rows, run_names
from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import LabelErrors
from engram_eval.metrics.summary import summarise
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import JudgeInfo, Manifest, ReaderInfo
from engram_eval.results.summary import Summary
from engram_eval.tables.csv import to_csv
from engram_eval.tables.html import escaped as html_escaped
from engram_eval.tables.html import to_html
from engram_eval.tables.markdown import escaped, to_markdown
from engram_eval.tables.note import Note
from engram_eval.tables.table import Table, no_row_competes
from engram_eval.tables.terminal import to_text
from engram_eval.tables.text import plural, visible


@dataclass(frozen=True, slots=True)
class Comparison:
    """`data_lines`: what each run was measured on. `summaries`, `manifests`: by the run's path.

    `mismatches`: why the runs are not comparable; empty unless `allow_different` was set.
    """

    data_lines: list[str]
    rows: list[BackendRow]
    tables: list[Table[Any]]
    notes: list[Note]
    summaries: dict[str, Summary]
    manifests: dict[str, Manifest]
    pairs: list[Pair]
    mismatches: list[Mismatch]

    def to_json(self) -> dict[str, Any]:
        """Summaries, pairs and mismatches as JSON values."""
        return {
            "runs": {path: summary.to_json() for path, summary in self.summaries.items()},
            "pairs": [pair.to_json() for pair in self.pairs],
            "mismatches": [str(mismatch) for mismatch in self.mismatches],
        }

    @property
    def errors(self) -> int:
        """How many questions ended in an error, over all runs and backends."""
        return sum(backend.errors for summary in self.summaries.values() for backend in summary.backends.values())

    def to_csv(self) -> str:
        """One line per backend with all of its figures, and with the mismatches if the runs are not comparable."""
        why = "; ".join(map(str, self.mismatches))
        return to_csv([{**row.to_json(), **({"mismatches": why} if why else {})} for row in self.rows])

    def to_markdown(self) -> str:
        """The tables and the notes."""
        lines = visible("\n".join(self.data_lines))
        notes = "\n".join(f"- {escaped(note.text)}" for note in self.notes)
        return f"{lines}\n\n{to_markdown(self.tables)}\n{notes}\n"

    def __str__(self) -> str:
        return to_text(self.tables, before=self.data_lines, notes=[note.text for note in self.notes])

    def _repr_html_(self) -> str:
        """For notebooks."""
        lines = "".join(f"<p>{html_escaped(line)}</p>" for line in self.data_lines)
        notes = "".join(f"<li>{html_escaped(note.text)}</li>" for note in self.notes)
        return f"{lines}\n{to_html(self.tables)}\n<ul>{notes}</ul>"


def compare(
    folders: Sequence[RunFolder],
    *,
    allow_different: bool = False,
    all_pairs: bool = False,
    against: str | None = None,
    label_errors: LabelErrors | None = None,
) -> Comparison:
    """Compares the backends of finished runs, from their manifests and records alone.

    Each memory is paired with a reference (`pairing.reference_pairs`; `against` names another), or with `all_pairs` with every
    other memory. `label_errors` adds a second accuracy that leaves out the questions whose answer key is known to be wrong.
    Raises UserError for a folder that holds no run, and for runs of different experiments; `allow_different` compares these
    and marks every table.
    """
    by_path = {str(folder.path): folder for folder in folders}  # a folder that is named twice is one run
    manifests = {path: folder.manifest() for path, folder in by_path.items()}
    headline = _in_order(manifest.dataset.headline for manifest in manifests.values())
    outcomes = {path: Outcomes(headline) for path in manifests}
    summaries = {
        path: summarise(outcomes[path].collect(folder.records()), manifests[path], label_errors=label_errors)
        for path, folder in by_path.items()
    }
    rows = backend_rows(manifests, summaries)
    outcomes_of = {row.name: outcomes[row.run].by_backend.get(row.label, {}) for row in rows}
    different = _mismatches(manifests, summaries, {path: outcomes[path].question_ids for path in outcomes})
    if different and not allow_different:
        raise UserError(
            f"{' and '.join(summaries)} are not comparable: {'; '.join(map(str, different))}; compare runs of one experiment, "
            "or add --allow-different"
        )
    pairs = _pairs(rows, manifests, outcomes_of, all_pairs=all_pairs, against=against)
    tables = _tables(rows, summaries, headline, pairs)
    notes = [Note(NoteKind.MISMATCH, f"These runs are not comparable: {mismatch}.") for mismatch in different]
    notes += pair_notes(pairs)
    if pairs and not all_pairs and against is None:
        notes += variants_note(manifests)
    for path, summary in summaries.items():
        notes += run_notes(path, manifests[path], summary)
    return Comparison(
        _data_lines(manifests),
        rows,
        [_labelled(table, different) for table in tables] if different else tables,
        list(dict.fromkeys(notes)),
        summaries,
        manifests,
        pairs,
        different,
    )


def _in_order(lists: Iterable[Iterable[str]]) -> list[str]:
    """The distinct values of several lists, in the order in which they first occur."""
    return list(dict.fromkeys(value for values in lists for value in values))


def _tables(
    rows: Sequence[BackendRow], summaries: Mapping[str, Summary], headline: Sequence[str], pairs: Sequence[Pair]
) -> list[Table[Any]]:
    categories = _in_order(summary.dataset.categories for summary in summaries.values())
    tables: list[Table[Any]] = [answers_table(rows, categories, headline)]
    if pairs:
        tables.append(accuracy_pairs_table(pairs))
    tables.append(context_table(rows))
    if with_sessions := [row for row in rows if has_session_table(summaries[row.run])]:
        tables.append(sessions_table(with_sessions))
    tables += [failures_table(rows), time_table(rows)]
    if any(row.summary.cost_usd or row.summary.judge_cost_usd for row in rows):
        tables.append(money_table(rows))
    if pairs:
        tables.append(measure_pairs_table(pairs))
    return tables


def _mismatches(
    manifests: Mapping[str, Manifest], summaries: Mapping[str, Summary], answered: Mapping[str, set[str]]
) -> list[Mismatch]:
    """Why the runs are not comparable."""
    names = run_names(list(manifests))
    reasons = mismatches({names[path]: identity(manifest) for path, manifest in manifests.items()})
    common, every = set.intersection(*answered.values()), set.union(*answered.values())
    if len(common) != len(every):
        phrase = "set of questions"
        text = f"the {phrase} differs ({len(common):,} of {len(every):,} in common)"
        reasons.append(Mismatch("answered", phrase, text))
        reasons += [
            Mismatch("unfinished", "unfinished run", f"{names[path]} is unfinished")
            for path, summary in summaries.items()
            if not summary.complete
        ]
    return reasons


def _pairs(
    rows: Sequence[BackendRow],
    manifests: Mapping[str, Manifest],
    outcomes_of: Mapping[str, Mapping[str, Outcome]],
    *,
    all_pairs: bool,
    against: str | None,
) -> list[Pair]:
    row_pairs = every_pair(rows) if all_pairs else reference_pairs(rows, manifests, against)
    names = [
        (first.name, second.name)
        for first, second in row_pairs
        if manifests[first.run].dataset.sha256 == manifests[second.run].dataset.sha256
    ]
    return compare_pairs(names, outcomes_of, seed=next(iter(manifests.values())).seed)


def _labelled(table: Table[Any], different: Sequence[Mismatch]) -> Table[Any]:
    """The table with a warning in its title and no best values."""
    phrases = ", ".join(mismatch.phrase for mismatch in different)
    title = f"NOT COMPARABLE ({phrases}): {table.title}"
    return replace(table, title=title, competes=no_row_competes)


def _role(info: ReaderInfo | JudgeInfo) -> str:
    name = info.name if info.model in (info.name, "unknown") else f"{info.name} ({info.model})"
    return f"{name}, prompt {info.prompt_file} (own)" if info.prompt_file else name


def _data_lines(manifests: Mapping[str, Manifest]) -> list[str]:
    names = run_names(list(manifests))
    lines = []
    for path, manifest in manifests.items():
        dataset = manifest.dataset
        run = f"{names[path]}: " if len(manifests) > 1 else ""
        size = f"{plural(dataset.conversations, 'conversation')}, {plural(dataset.questions, 'question')}"
        lines.append(f"Data: {run}{dataset.name}, {size}: {dataset.origin}")
        lines.append(f"Reader: {run}{_role(manifest.reader)}. Judge: {_role(manifest.judge)}.")
    return lines
