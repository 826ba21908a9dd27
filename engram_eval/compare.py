"""Comparison: the backends of one or more finished runs on one table, with what a reader must know beneath it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engram_eval.metrics import summarise
from engram_eval.results import RunFolder
from engram_eval.table import Row, Table, answers_table, context_table, money_table, time_table
from engram_eval.text import plural

# What two runs must share for their numbers to be compared: where it stands in the manifest, and its name in prose.
_SAME = {
    "dataset": ("dataset", "sha256"),
    "dataset's name": ("dataset", "name"),
    "number of questions": ("dataset", "questions"),
    "reader": ("reader", "name"),
    "reader's model": ("reader", "model"),
    "judge": ("judge", "name"),
    "budget": ("budget",),
    "token encoding": ("token_encoding",),
    "embedder": ("embedder", "name"),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    data: list[str]
    """What was measured on, a line a run."""
    rows: list[Row]
    tables: list[Table]
    notes: list[str]
    summaries: dict[str, dict[str, Any]]


def compare(folders: Sequence[RunFolder]) -> Comparison:
    """Reads records and manifests only. Raises UserError for a folder that holds no run."""
    manifests = {str(folder.path): folder.manifest() for folder in folders}
    summaries = {str(folder.path): summarise(folder.records(), manifests[str(folder.path)]) for folder in folders}
    rows: list[Row] = []
    names = run_names(list(summaries))
    for path, summary in summaries.items():
        run = f" ({names[path]})" if len(summaries) > 1 else ""
        for label, facts in summary["backends"].items():
            bound = {"window": "window", "none": "nothing"}.get(facts["limit"])
            bound = f"{manifests[path]['budget']:,}" if facts["limit"] == "budget" else bound
            rows.append({"backend": label + run, "run": path, "bound": bound, **facts})
    categories = list(dict.fromkeys(c for s in summaries.values() for c in s["dataset"]["categories"]))
    headline = list(dict.fromkeys(c for s in summaries.values() for c in s["dataset"]["headline"]))
    tables = [answers_table(rows, categories, headline), context_table(rows), time_table(rows)]
    if any(row["cost_usd"] or row["judge_cost_usd"] for row in rows):
        tables.append(money_table(rows))
    asked = {str(folder.path): {record.question_id for record in folder.records()} for folder in folders}
    differences = [*_differences(manifests), *_other_questions(asked)] if len(folders) > 1 else []
    if differences:  # what does not compare has no best
        tables = [replace(table, ranked=lambda _row: False) for table in tables]
    return Comparison(_data(manifests), rows, tables, [*differences, *_notes(summaries, manifests)], summaries)


def run_names(paths: Sequence[str]) -> dict[str, str]:
    """The last parts of the paths, as many as tell them apart."""
    parts = {path: Path(path).absolute().parts for path in paths}
    longest = max(map(len, parts.values()))
    depth = next(
        d for d in range(1, longest + 1) if len({p[-d:] for p in parts.values()}) == len(parts) or d == longest
    )
    return {path: "/".join(p[-depth:]) for path, p in parts.items()}


def _differences(manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the runs are not the same experiment."""
    notes = []
    names = run_names(list(manifests))
    for name, keys in _SAME.items():
        known = {path: _dig(manifest, keys) for path, manifest in manifests.items()}
        values = {path: value for path, value in known.items() if value is not None}  # of answers made elsewhere
        if len(set(map(str, values.values()))) > 1:
            listed = ", ".join(f"{names[path]}: {str(value)[:16]}" for path, value in values.items())
            notes.append(f"These runs do not compare: the {name} differs ({listed}).")
    return notes


def _other_questions(asked: Mapping[str, set[str]]) -> list[str]:
    common, every = set.intersection(*asked.values()), set.union(*asked.values())
    if len(common) == len(every):
        return []
    return [f"These runs do not compare: they asked different questions ({len(common):,} of {len(every):,} in common)."]


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


def _dig(manifest: Mapping[str, Any], keys: Sequence[str]) -> Any:
    value: Any = manifest
    for key in keys:
        value = value[key]
    return value


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
            f"{label} by {bounds[f['limit']]}" for label, f in manifest["backends"].items() if f["limit"] in bounds
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
            if facts["ingest_faults"]:
                notes.append(
                    f"{label}: {plural(facts['ingest_faults'], 'time')} the model made nothing usable of a batch of "
                    "turns; they are kept as they were said (faults.jsonl)."
                )
            if facts["cut"]:
                notes.append(
                    f"{label} sent more than its budget for {plural(facts['cut'], 'question')}: the end was cut off."
                )
            if not facts["names_turns"] and not facts["cut"] and facts["context_tokens"]["mean"]:
                notes.append(
                    f"{label} names no turns: its evidence recall goes by its text alone, and it has no ranking."
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
