"""Comparison: the backends of one or more finished runs on one table, with what a reader must know beneath it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engram_eval.compare.columns import (
    answers_table,
    context_table,
    misses_table,
    money_table,
    pairs_table,
    sessions_table,
    takes_table,
    time_table,
)
from engram_eval.compare.mismatches import EXPERIMENT, differences, identity, run_names, value_at
from engram_eval.compare.paired_tests import Outcome, Pair, outcomes, pair
from engram_eval.compare.paired_tests import notes as paired_notes
from engram_eval.compare.pairing import every_two, variants_note, with_partners
from engram_eval.errors import UserError
from engram_eval.metrics.failure_stage import LabelErrors
from engram_eval.metrics.summary import summarise
from engram_eval.results.folder import RunFolder
from engram_eval.results.record import Record
from engram_eval.tables.table import Row, Table
from engram_eval.tables.text import plural


@dataclass(frozen=True, slots=True)
class Comparison:
    data: list[str]
    """What was measured on, a line a run."""
    rows: list[Row]
    tables: list[Table]
    notes: list[str]
    summaries: dict[str, dict[str, Any]]
    pairs: list[Pair]
    unlike: list[str]
    """What the runs differ in, if they were set side by side all the same."""

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": self.summaries,
            "pairs": [one.to_json() for one in self.pairs],
            "these_runs_do_not_compare": self.unlike,
        }


def compare(
    folders: Sequence[RunFolder],
    *,
    allow_different: bool = False,
    all_pairs: bool = False,
    against: str | None = None,
    label_errors: LabelErrors | None = None,
) -> Comparison:
    """Reads records and manifests only. Raises UserError for a folder that holds no run, and for unlike runs.

    `allow_different` sets these side by side all the same, and says so on every table. Each memory is paired with one other
    (`partners`), with `against` if that is named; with `all_pairs`, with every other memory. `label_errors` are left out of a
    second score that stands beside the first.
    """
    manifests = {str(folder.path): folder.manifest() for folder in folders}
    summaries = {}
    for folder in folders:
        path = str(folder.path)
        summaries[path] = summarise(folder.records(), manifests[path], label_errors=label_errors)
        if label_errors:
            sound = (record for record in folder.records() if label_errors.of(record.question_id) is None)
            for label, facts in summarise(sound, manifests[path])["backends"].items():
                kept = {name: facts[name] for name in ("accuracy", "accuracy_ci", "answered")}
                summaries[path]["backends"][label]["without_label_errors"] = kept
    rows: list[Row] = []
    labels: dict[str, str] = {}
    names = run_names(list(summaries))
    for path, summary in summaries.items():
        run = f" ({names[path]})" if len(summaries) > 1 else ""
        for label, facts in summary["backends"].items():
            bound = {"window": "window", "none": "nothing"}.get(facts["context_limit"])
            bound = f"{manifests[path]['budget']:,}" if facts["context_limit"] == "budget" else bound
            rows.append({"backend": label + run, "run": path, "bound": bound, **facts})
            labels[label + run] = label
    categories = list(dict.fromkeys(c for s in summaries.values() for c in s["dataset"]["categories"]))
    headline = list(dict.fromkeys(c for s in summaries.values() for c in s["dataset"]["headline"]))
    tables = [answers_table(rows, categories, headline), context_table(rows)]
    if ranking_sessions := [row for row in rows if _ranks_sessions(summaries[row["run"]])]:
        tables.append(sessions_table(ranking_sessions))
    tables += [misses_table(rows), time_table(rows)]
    if any(row["cost_usd"] or row["judge_cost_usd"] for row in rows):
        tables.append(money_table(rows))
    asked: dict[str, set[str]] = {}
    of: dict[str, dict[str, Outcome]] = {}
    for folder in folders:
        path, named = str(folder.path), f" ({names[str(folder.path)]})" if len(summaries) > 1 else ""
        asked[path] = set()
        found = outcomes(_noting(folder.records(), asked[path]), headline)
        of |= {label + named: mine for label, mine in found.items()}
    unlike = _unlike(manifests, summaries, asked)
    if unlike and not allow_different:
        raise UserError(
            f"{' and '.join(summaries)} do not compare: {'; '.join(unlike)}; compare runs of one experiment, or set these "
            "side by side all the same with --allow-different"
        )
    data = {path: value_at(manifest, EXPERIMENT["dataset"]) for path, manifest in manifests.items()}
    wanted = every_two(rows, labels) if all_pairs else with_partners(rows, labels, data, manifests, against)
    together = [(one["backend"], other["backend"]) for one, other in wanted if data[one["run"]] == data[other["run"]]]
    pairs = pair(together, of, seed=next(iter(manifests.values()))["seed"])
    if pairs:
        lines = [one.to_json() for one in pairs]
        tables = [tables[0], pairs_table(lines), *tables[1:], takes_table(lines)]
    if unlike:
        tables = [_apart(table, unlike) for table in tables]
        rows = [{**row, "these_runs_do_not_compare": "; ".join(unlike)} for row in rows]
    said = [f"These runs do not compare: {one}." for one in unlike]
    how = variants_note(manifests) if pairs and not all_pairs and against is None else []
    notes = [*said, *paired_notes(pairs), *how, *_notes(summaries, manifests)]
    return Comparison(_data(manifests), rows, tables, notes, summaries, pairs, unlike)


def _noting(records: Iterable[Record], asked: set[str]) -> Iterator[Record]:
    """The records, and in `asked` the ids of their questions: they are read from disk, contexts and all."""
    for record in records:
        asked.add(record.question_id)
        yield record


def _unlike(
    manifests: Mapping[str, Mapping[str, Any]],
    summaries: Mapping[str, Mapping[str, Any]],
    asked: Mapping[str, set[str]],
) -> list[str]:
    """Why the runs are not one experiment, a phrase each."""
    names = run_names(list(manifests))
    found = differences({names[path]: identity(manifest) for path, manifest in manifests.items()})
    common, every = set.intersection(*asked.values()), set.union(*asked.values())
    if len(common) != len(every):
        found.append(f"the set of questions differs ({len(common):,} of {len(every):,} in common)")
        found += [f"{names[path]} is not finished" for path, summary in summaries.items() if not summary["complete"]]
    return found


def _apart(table: Table, unlike: Sequence[str]) -> Table:
    """What does not compare has no best, and no table of it goes about without saying so."""
    what = ", ".join(phrase.partition(" differs")[0].removeprefix("the ") for phrase in unlike)
    return replace(table, title=f"RUNS THAT DO NOT COMPARE ({what}): {table.title}", ranked=lambda _row: False)


def _data(manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = run_names(list(manifests))
    lines = []
    for path, manifest in manifests.items():
        of = manifest["dataset"]
        run = f"{names[path]}: " if len(manifests) > 1 else ""
        lines.append(
            f"Data: {run}{of['name']}, {plural(of['conversations'], 'conversation')}, "
            f"{plural(of['questions'], 'question')}: {of['origin']}"
        )
    return lines


def _ranks_sessions(summary: Mapping[str, Any]) -> bool:
    """Whether the benchmark has a table of session retrieval (`Benchmark.tables`) and some backend has figures for it."""
    found = (facts["session_recall@5"] for facts in summary["backends"].values())
    return "sessions" in summary["dataset"].get("tables", ()) and any(share is not None for share in found)


def _notes(summaries: Mapping[str, Mapping[str, Any]], manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    notes = []
    for path, summary in summaries.items():
        manifest = manifests[path]
        judge = summary["judge"]
        if judge["name"] == "offline":
            answers = "the offline reader's answers" if summary["reader"]["name"] == "offline" else "these answers"
            notes.append(
                f"Scores are the offline judge's on {answers}, not LLM-judge scores: they compare memories, and do not "
                f"compare with published figures. The judge {judge['agreement']}."
            )
        bounds = {
            "window": f"the reader's window of {summary['reader']['window']:,} tokens alone",
            "none": "nothing (it is shown the evidence: the ceiling of reader, judge and answer key)",
        }
        unbound = [
            f"{label} by {bounds[f['context_limit']]}"
            for label, f in manifest["backends"].items()
            if f["context_limit"] in bounds
        ]
        notes.append(
            "; ".join([f"Memories are bound by {manifest['budget']:,} {manifest['token_encoding']} tokens", *unbound])
            + "."
            if manifest["budget"] is not None
            else f"{', '.join(manifest['backends'])}: answers made elsewhere, from contexts whose bound is not known here."
        )
        for label, facts in manifest["backends"].items():
            if facts["paraphrases"]:
                notes.append(
                    f"{label} paraphrases: its evidence recall goes by the sources that it names, not by its text."
                )
            if facts["sees_evidence"] and label != "oracle":
                notes.append(f"{label} is shown the evidence: it is a control, not a memory.")
        for label, facts in summary["backends"].items():
            if facts["errors"]:
                notes.append(
                    f"{label}: {facts['errors']:,} of {plural(facts['expected'], 'question')} ended in an error and count "
                    "neither as right nor as wrong; its figures are over the rest, and do not compare with the others'."
                )
            if facts["ingest_warnings"]:
                notes.append(
                    f"{label}: {plural(facts['ingest_warnings'], 'time')} the model made nothing usable of a batch of "
                    "turns; they are kept as they were said (warnings.jsonl)."
                )
            if facts["cut"]:
                notes.append(
                    f"{label} sent more than its budget for {plural(facts['cut'], 'question')}: the end was cut off."
                )
            if not facts["names_turns"] and not facts["cut"] and facts["context_tokens"]["mean"]:
                notes.append(
                    f"{label} names no turns: its evidence recall goes by its text alone, and it has no ranking."
                )
        if _ranks_sessions(summary):
            notes.append(
                "Sessions: a session ranks where its best turn does, and what is not in the context not at all. Recall all@k "
                "(every evidence session is among the first k) and nDCG@k (ranks 1 and 2 count whole) are LongMemEval's "
                "official session-level formulas; questions that cannot be answered are left out."
            )
        if voted := {label: facts["votes"] for label, facts in summary["backends"].items() if facts["votes"]}:
            notes.append(_spread(voted))
        if note := manifest.get("probe", {}).get("note"):
            notes.append(note)
        if summary["reader"]["name"] == "offline":
            notes.append("Answer times are the offline reader's, not a model's: compare memories by recall and ingest.")
        if not summary["complete"]:
            notes.append(f"The run {path} is not finished: these are the questions so far.")
    return list(dict.fromkeys(notes))


def _spread(voted: Mapping[str, Mapping[str, Any]]) -> str:
    """How far several verdicts on the same answers agree."""
    parts = []
    for label, votes in voted.items():
        shares = [100 * share for share in votes["accuracy"]]
        parts.append(f"{label} {min(shares):.1f} to {max(shares):.1f} % ({100 * votes['split']:.1f} % split)")
    count = len(next(iter(voted.values()))["accuracy"])
    return (
        f"The majority of {count} verdicts counts; accuracy by the lowest and highest single one, and the share of answers "
        f"on which they differ: {', '.join(parts)}."
    )
