"""Our figures beside the published ones, and in words what of our runs is not as theirs was.

The published figures are in a TOML file of the benchmark (`Benchmark.published`), with all that is known of how they were
measured. A figure of ours is compared with one of theirs only where both are an LLM judge's verdicts on a model's answers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engram_eval import registry
from engram_eval.compare.mismatches import run_names
from engram_eval.errors import UserError
from engram_eval.results.manifest import is_grading
from engram_eval.tables.table import Column, Row, Table
from engram_eval.tables.text import plural

if TYPE_CHECKING:
    from engram_eval.datasets.benchmark import Benchmark

_ENDPOINT = "api.openai.com"  # where gpt-4o-mini answers


@dataclass(frozen=True, slots=True)
class Published:
    """A published figure. Score in %, `tokens` the lowest and highest that are told; None, or empty, for what is not known."""

    name: str
    backends: tuple[str, ...]
    source: str
    score: float
    judge: str
    plus_minus: float | None = None
    answer_model: str | None = None
    judge_model: str | None = None
    conversations: int | None = None
    questions: int | None = None
    categories: tuple[str, ...] = ()
    by_category: Mapping[str, float] = field(default_factory=dict)
    tokens: tuple[float, float] | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()


@cache
def published(file: Path) -> tuple[Published, ...]:
    """All entries of a benchmark's file, in its order."""
    out = []
    for group in tomllib.loads(file.read_text(encoding="utf-8"))["measured"]:
        for system in group.pop("system"):
            entry: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in {**group, **system}.items()}
            out.append(Published(**entry))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _Ours:
    """One of our backends that answers to a published system. `title`: its name, with its run's where there are several."""

    label: str
    title: str
    run: str
    manifest: Mapping[str, Any]
    facts: Mapping[str, Any]
    """Of the backend, from the summary."""
    entry: Published

    @property
    def compares(self) -> bool:
        return not _offline(self.manifest)

    def rank(self) -> int:
        """Its place among the names that answer to the system."""
        exact = self.entry.backends
        return exact.index(self.label) if self.label in exact else len(exact)


def paper_tables(
    manifests: Mapping[str, Mapping[str, Any]], summaries: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Table], list[str]]:
    """A table a benchmark and the notes beneath them, from the runs' manifests and summaries by path."""
    tables: list[Table] = []
    notes: list[str] = []
    names = run_names(list(manifests))
    for benchmark in dict.fromkeys(manifest["dataset"]["name"] for manifest in manifests.values()):
        runs = {path: m for path, m in manifests.items() if m["dataset"]["name"] == benchmark}
        declared = _declared(benchmark)
        entries = published(declared.published) if declared and declared.published else ()
        if not entries:
            made = " Its dialogues are made by this project." if declared and declared.generator else ""
            notes.append(f"{benchmark}: there is nothing published to compare with.{made}")
            continue
        ours = [
            _Ours(label, f"{label} ({names[path]})" if len(manifests) > 1 else label, path, manifest, facts, entry)
            for path, manifest in runs.items()
            for label, facts in summaries[path]["backends"].items()
            if (entry := _entry_of(label, entries))
        ]
        tables.append(_table(benchmark, entries, ours))
        for path, manifest in runs.items():
            of_run = [one for one in ours if one.run == path]
            run = f"{names[path]}: " if len(manifests) > 1 else ""
            notes += [run + note for note in _notes_of_run(manifest, of_run, entries)]
        notes += _unchecked(entries, ours)
    return tables, notes


def _declared(name: str) -> Benchmark | None:
    """The benchmark of that name; None where it is not installed, as for a run made elsewhere."""
    try:
        benchmark: Benchmark = registry.resolve("datasets", name)
    except UserError:
        return None
    return benchmark


def _entry_of(label: str, entries: Sequence[Published]) -> Published | None:
    """The published system that a backend answers to: by NAME:PRESET, then by NAME alone."""
    for name in (label, label.partition(":")[0]):
        for entry in entries:
            if name in entry.backends:
                return entry
    return None


def _offline(manifest: Mapping[str, Any]) -> str:
    """Why scores do not compare with published ones at all, in words; empty where they may."""
    reader, judge = manifest["reader"]["name"], manifest["judge"]["name"]
    ours = [f"the {judge} judge's"] if judge.partition(":")[0] != "llm" else []
    ours += [f"on the {reader} reader's answers"] if reader == "offline" else []
    return " ".join(ours)


# --- the table --------------------------------------------------------------------------------------------------


def _table(benchmark: str, entries: Sequence[Published], ours: Sequence[_Ours]) -> Table:
    rows: list[Row] = []
    for entry in entries:
        rows.append(_row_of_theirs(entry))
        rows += [_row_of_ours(one) for one in sorted((o for o in ours if o.entry is entry), key=_Ours.rank)]
    categories = dict.fromkeys(category for entry in entries for category in entry.by_category)
    columns = [
        Column("system", _key("system"), str),
        Column("whose", _key("whose"), str),
        Column("score", _key("score"), str),
        Column("95 % interval", _key("interval"), str),
        Column("difference", _key("difference"), _signed),
        Column("published in interval", _key("within"), lambda inside: "yes" if inside else "no"),
        *(Column(c, lambda row, c=c: row["by_category"].get(c), lambda v: f"{v:.1f}") for c in categories),  # type: ignore[misc]
        Column("tokens", _key("tokens"), _range),
        Column("p50 s", _key("p50_s"), _seconds),
        Column("p95 s", _key("p95_s"), _seconds),
        Column("questions", _key("questions"), lambda count: f"{count:,}"),
    ]
    title = f"Beside published figures: {benchmark} (scores in %, differences in points, mean context tokens)"
    return Table(title, columns, rows, lambda _row: False)


def _row_of_theirs(entry: Published) -> Row:
    spread = f" ±{entry.plus_minus:.2f}" if entry.plus_minus is not None else ""
    return {
        "system": entry.name,
        "whose": f"published ({entry.source})",
        "score": f"{entry.score:.2f}{spread}",
        "by_category": entry.by_category,
        "tokens": entry.tokens,
        "p50_s": entry.p50_s,
        "p95_s": entry.p95_s,
        "questions": entry.questions,
    }


def _row_of_ours(one: _Ours) -> Row:
    facts, entry = one.facts, one.entry
    accuracy, (low, high) = facts["accuracy"], facts["accuracy_ci"]
    tokens, timed = facts["context_tokens"]["mean"], one.manifest["reader"]["name"] != "offline"
    compared = accuracy is not None and one.compares
    return {
        "system": one.title,
        "whose": "ours",
        "score": None if accuracy is None else f"{100 * accuracy:.2f}",
        "interval": None if low is None else f"{100 * low:.1f}–{100 * high:.1f}",
        "difference": 100 * accuracy - entry.score if compared else None,
        "within": 100 * low <= entry.score <= 100 * high if compared else None,
        "by_category": {
            category: 100 * scores["accuracy"]
            for category, scores in facts["by_category"].items()
            if scores["accuracy"] is not None
        },
        "tokens": None if tokens is None else (tokens, tokens),
        "p50_s": facts["latency_s"]["p50"] if timed else None,
        "p95_s": facts["latency_s"]["p95"] if timed else None,
        "questions": facts["answered"],
    }


def _key(name: str) -> Callable[[Row], Any]:
    return lambda row: row.get(name)


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−")


def _range(ends: tuple[float, float]) -> str:
    low, high = (f"{end:,.0f}" for end in ends)
    return low if low == high else f"{low}–{high}"


def _seconds(value: float) -> str:
    return f"{value:.2f}"


# --- the notes --------------------------------------------------------------------------------------------------


def _notes_of_run(manifest: Mapping[str, Any], ours: Sequence[_Ours], entries: Sequence[Published]) -> list[str]:
    if not ours:
        known = ", ".join(dict.fromkeys(name for entry in entries for name in entry.backends))
        return [f"None of these backends answers to a published system; these would: {known}."]
    notes = []
    if offline := _offline(manifest):
        notes.append(
            f"These scores and the published ones do not compare at all: ours are {_verdicts(offline)}, theirs an LLM judge's "
            "on a model's answers. No difference is shown."
        )
    notes += _unlike_published(ours)
    for one in ours:
        if unlike := _unlike_backend(one):
            notes.append(f"{one.label} is not {one.entry.name} as published: {'; '.join(unlike)}.")
    notes.append(
        f"Not known here of the published runs: prompts, embedder and judge votes. Ours: {', '.join(_own(manifest))}. The "
        "prompt alone can move a score by ten points (full history, gpt-4.1-mini: 81.95 to 92.62)."
    )
    return [*notes, *_on_latency(manifest)]


def _verdicts(offline: str) -> str:
    return offline if "judge" in offline else f"verdicts {offline}"


def _own(manifest: Mapping[str, Any]) -> list[str]:
    """What ours were of those things that are not known of the published."""
    embedder, recorded = manifest["embedder"]["name"], is_grading(manifest)
    return [
        *([f"this project's {'judge ' if recorded else ''}prompts"] if manifest["prompts"] else []),
        f"embedder {embedder}" if embedder else "an embedder that is not known",
        plural(manifest["judge"].get("votes", 1), "judge vote"),
    ]


def _unlike_published(ours: Iterable[_Ours]) -> list[str]:
    """One note for all backends whose run differs in the same way."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in ours:
        groups.setdefault(tuple(_unlike_run(one)), []).append(one.label)
    return [f"{', '.join(titles)}, not as published: {'; '.join(found)}." for found, titles in groups.items() if found]


def _unlike_run(one: _Ours) -> list[str]:
    """What of the run is not as it was for the published figure."""
    entry, manifest = one.entry, one.manifest
    reader, judge, dataset = manifest["reader"], manifest["judge"], manifest["dataset"]
    found = []
    if is_grading(manifest):
        found.append(f"the answers were made elsewhere, by a model not known here{_of(entry.answer_model)}")
    elif reader["model"] != entry.answer_model:
        found.append(f"answer model {reader['model']}{_of(entry.answer_model)}")
    if judge["name"] != entry.judge:
        found.append(f"judge {judge['name']}{_of(entry.judge)}")
    if judge["name"].partition(":")[0] == "llm" and judge.get("model") != entry.judge_model:
        found.append(f"judge model {judge.get('model', 'unknown')}{_of(entry.judge_model)}")
    if dataset["conversations"] != entry.conversations:
        found.append(f"{plural(dataset['conversations'], 'conversation')}{_of(entry.conversations)}")
    if one.facts["answered"] != entry.questions:
        found.append(f"{plural(one.facts['answered'], 'question')} scored{_of(entry.questions)}")
    if entry.categories and set(dataset["headline"]) != set(entry.categories):
        found.append(f"scored over {', '.join(dataset['headline'])}{_of(', '.join(entry.categories))}")
    return found


def _unlike_backend(one: _Ours) -> list[str]:
    """What of the memory is not as it was for the published figure."""
    entry, facts = one.entry, one.manifest["backends"][one.label]
    if is_grading(one.manifest):
        return ["its settings and its budget are not known here"]
    found = [
        f"{name} {_plain(facts['settings'].get(name, 'unknown'))}{_of(_plain(value), unchecked=name in entry.unchecked)}"
        for name, value in entry.settings.items()
        if facts["settings"].get(name) != value
    ]
    budget = one.manifest["budget"]
    if facts["context_limit"] == "budget" and entry.tokens and not entry.tokens[0] <= budget <= entry.tokens[1]:
        found.append(f"a budget of {budget:,} tokens (published: {_range(entry.tokens)} used)")
    return found


def _of(published: object, *, unchecked: bool = False) -> str:
    if published is None:
        return " (published: not known here)"
    text = f"{published:,}" if isinstance(published, int) else published
    return f" (published: {text}{', unchecked' if unchecked else ''})"


def _plain(value: object) -> object:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _on_latency(manifest: Mapping[str, Any]) -> list[str]:
    if manifest["reader"]["name"] == "offline":
        return ["Latency: no model answered, so there is none to set beside the published."]
    if is_grading(manifest):
        return ["Latency is as the file of answers tells it, not measured here."]
    notes = []
    endpoint = manifest.get("models", {}).get("reader", {}).get("endpoint")
    if endpoint and urlsplit(endpoint).hostname != _ENDPOINT:
        notes.append(f"Latency does not compare: the answers came from {endpoint}, the published from OpenAI's model.")
    used = manifest.get("usage", {}).get("reader", {})
    if used.get("cached"):
        notes.append(
            f"Latency: {used['cached']:,.0f} of {plural(round(used['calls']), 'answer')} came from the cache "
            "and count with the time that they took when they were first asked for."
        )
    return notes


def _unchecked(entries: Sequence[Published], ours: Sequence[_Ours]) -> list[str]:
    answered = [one.entry for one in ours]
    return [
        f"{entry.name}'s published {' and '.join(f'{name} = {entry.settings[name]}' for name in entry.unchecked)} could not "
        "be checked against the paper's text (total is its K)."
        for entry in entries
        if entry.unchecked and entry in answered
    ]
