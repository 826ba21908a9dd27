"""Our figures beside the published ones: the table as a person sees it (REGOLD=1 writes it again), and its notes."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engram_eval.compare.published import Published, published, published_tables
from engram_eval.datasets.benchmark import Benchmark
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.datasets.longmemeval import LONGMEMEVAL_S
from engram_eval.metrics.summary import summarise
from engram_eval.registry import open_backend, settings_of
from engram_eval.results.manifest import RECORDED, Manifest
from engram_eval.results.record import Record
from engram_eval.tables.markdown import to_markdown
from engram_eval.tables.table import Table
from tests.records import backend, manifest, record

_GOLDEN = Path(__file__).parents[1] / "golden" / "paper.md"
_HEADLINE = ["multi-hop", "temporal", "open-domain", "single-hop"]
_RULES = settings_of(open_backend("engram", {}))
_PAPER = settings_of(open_backend("engram:paper", {}))
_OPENAI = {"model": "gpt-4o-mini", "endpoint": "https://api.openai.com/v1"}


def _manifest(**values: Any) -> Manifest:
    """A run of the whole of LoCoMo, as it was published."""
    return manifest(
        **{
            "dataset": {
                "name": "locomo", "sha256": "ab", "origin": "here", "categories": [*_HEADLINE, "adversarial"],
                "headline": _HEADLINE, "questions": 1986, "conversations": 10,
            },
            "backends": {
                "none": backend(control=True),
                "engram": {**backend(), "settings": _RULES},
                "engram:paper": {**backend(), "settings": _PAPER},
                "full-history": backend(context_limit="window"),
            },
            "reader": {"name": "llm", "model": "gpt-4o-mini", "window": 128_000},
            "judge": {"name": "llm", "model": "gpt-4o-mini", "votes": 1, "agreement": ""},
            "models": {"reader": _OPENAI, "judge": _OPENAI},
            "prompts": {"reader_locomo_v1": "ab"},
            **values,
        }
    )  # fmt: skip


def _with_dataset(run: Manifest, **values: Any) -> Manifest:
    return run.model_copy(update={"dataset": run.dataset.model_copy(update=values)})


def _records(label: str, right: float, asked: int = 1540, **values: Any) -> list[Record]:
    """`right` % of them right, in ten conversations alike."""
    return [
        record(
            backend=label, conversation_id=f"c{i % 10}", question_id=f"q{i}", category=_HEADLINE[i % 4],
            correct=i < asked * right / 100, **{"retrieval_s": 0.2, "answer_s": 1.3, **values},
        )
        for i in range(asked)
    ]  # fmt: skip


def _paper(*runs: tuple[Manifest, list[Record]]) -> tuple[list[Table[Any]], list[str]]:
    manifests = {f"results/run{i}": run_manifest for i, (run_manifest, _) in enumerate(runs)}
    summaries = {f"results/run{i}": summarise(records, run_manifest) for i, (run_manifest, records) in enumerate(runs)}
    tables, notes = published_tables(manifests, summaries)
    return tables, [note.text for note in notes]


def _cells(table: Table[Any]) -> dict[str, dict[str, str]]:
    """Cells by system (the published before ours) and column."""
    names = [column.name for column in table.columns]
    return {line[0][0]: dict(zip(names, (shown for shown, _ in line), strict=True)) for line in table.cells()}


def test_the_table_and_its_notes_as_a_person_sees_them() -> None:
    engram, paper = _records("engram", 70), _records("engram:paper", 78)
    whole = _records("full-history", 60, context_tokens=23_000, answer_s=9.0)
    tables, notes = _paper((_manifest(), [*engram, *paper, *whole, *_records("none", 5)]))
    rendered = to_markdown(tables) + "\n" + "".join(f"- {note}\n" for note in notes)
    if os.environ.get("REGOLD"):
        _GOLDEN.write_text(rendered)
    assert rendered == _GOLDEN.read_text()


def test_the_difference_is_in_points_and_the_published_figure_is_looked_for_in_our_interval() -> None:
    (table,), _ = _paper((_manifest(), [*_records("engram", 70), *_records("engram:paper", 78)]))
    near, far = _cells(table)["engram:paper"], _cells(table)["engram"]
    assert (near["published in interval"], far["published in interval"]) == ("yes", "no")
    assert (far["score"], far["difference"]) == ("70.00", "−7.5")
    assert not any(best for line in table.cells() for _, best in line)


def test_a_run_as_published_has_no_note_of_a_difference() -> None:
    records = _records("engram:paper", 78)
    backends = {"engram:paper": {**backend(), "settings": _PAPER}}
    run = _manifest(
        backends=backends,
        reader={"name": "llm:engram", "model": "gpt-4o-mini", "window": 128_000},
        judge={"name": "llm", "model": "gpt-4o-mini", "votes": 3},
        embedder={"name": "openai:text-embedding-3-small", "dimensions": 1536},
    )
    _, notes = _paper((run, records))
    assert not [note for note in notes if "as published" in note or "compare" in note]
    assert any(
        note.startswith("The paper leaves open, of ENGRAM: k = 25 (tables 1 and 2 say 20, figure 3 says 25)")
        for note in notes
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"reader": {"name": "llm", "model": "gpt-4.1", "window": 1}}, "answer model gpt-4.1 (published: gpt-4o-mini)"),
        ({"judge": {"name": "llm", "model": "m"}}, "judge model m (published: gpt-4o-mini)"),
        ({"judge": {"name": "llm:strict", "model": "gpt-4o-mini"}}, "judge llm:strict (published: llm)"),
        ({"judge": {"name": "llm", "model": "gpt-4o-mini", "votes": 3}}, "embedder static, 3 judge votes"),
        ({"embedder": {"name": "openai:e", "dimensions": 9}}, "embedder openai:e, 1 judge vote"),
        (
            {"judge": {"name": "llm", "model": "gpt-4o-mini", "prompt_file": "mem0.toml"}},
            "Ours: the judge's prompt mem0.toml, this project's other prompts, embedder static",
        ),
        ({}, "reader llm (published: asks for what llm:engram asks for)"),
        ({}, "embedder static (published: text-embedding-3-small)"),
        ({}, "1 verdict an answer (published: 3 judge passes)"),
        ({"budget": 500}, "a budget of 500 tokens (published: 916 used)"),
        (
            {"models": {"reader": {"model": "m", "endpoint": "http://localhost:11434/v1"}}},
            "Latency is not comparable: our answers came from http://localhost:11434/v1",
        ),
        (
            {"usage": {"reader": {"calls": 40.0, "cached": 3.0}}},
            "Latency: 3 of 40 answers came from the cache; each counts with the time that it took",
        ),
    ],
)
def test_a_note_names_each_difference_from_the_published_run(changes: dict[str, Any], text: str) -> None:
    _, notes = _paper((_manifest(**changes), _records("engram", 70)))
    assert text in " ".join(notes)


def test_a_larger_budget_differs_only_if_it_cut_contexts() -> None:
    for truncated in (True, False):
        _, notes = _paper((_manifest(budget=5000), _records("engram:paper", 78, truncated=truncated)))
        assert any("a budget of 5,000 tokens (published: 916 used)" in note for note in notes) is truncated


def test_several_verdicts_give_the_mean_and_deviation_of_the_passes() -> None:
    def votes(i: int) -> dict[str, Any]:
        return {"name": "llm", "votes": [i < 80, i < 80, i < 74], "reason": ""}

    records = [
        record(
            backend="engram:paper", question_id=f"q{i}", category="temporal", correct=i < 80, judge=votes(i), f1=0.25
        )
        for i in range(100)
    ]
    (table,), _ = _paper((_manifest(judge={"name": "llm", "model": "gpt-4o-mini", "votes": 3}), records))
    ours = _cells(table)["engram:paper"]
    assert (ours["score"], ours["difference"], ours["F1"]) == ("78.00 ±3.46", "+0.4", "25.00")  # 80, 80, 74


def test_the_time_of_search_is_beside_the_published_one() -> None:
    (table,), _ = _paper((_manifest(), _records("engram:paper", 78)))
    cells = _cells(table)
    assert (cells["ENGRAM"]["search p50 s"], cells["engram:paper"]["search p50 s"]) == ("0.603", "0.200")


def test_a_note_says_that_fewer_questions_or_conversations_were_asked() -> None:
    part = _with_dataset(_manifest(), conversations=1, questions=40, headline=("temporal",))
    _, notes = _paper((part, _records("engram", 70, asked=40)))
    assert "1 conversation (published: 10); 10 questions scored (published: 1,540); scored over temporal (" in notes[0]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"judge": {"name": "offline", "agreement": "-"}}, "ours are verdicts of the offline judge, theirs are an LLM judge's"),
        (
            {"reader": {"name": "offline", "model": "offline", "window": 1}},
            "ours are an LLM judge's verdicts on the offline reader's answers, theirs",
        ),
        (
            {"reader": {"name": "offline", "model": "offline", "window": 1}, "judge": {"name": "offline", "agreement": ""}},
            "ours are verdicts of the offline judge on the offline reader's answers, theirs",
        ),
    ],
)  # fmt: skip
def test_offline_scores_are_not_compared_with_published_ones(changes: dict[str, Any], text: str) -> None:
    (table,), notes = _paper((_manifest(**changes), _records("engram", 70)))
    assert notes[0].startswith("These scores are not comparable with the published ones")
    assert text in notes[0]
    ours = _cells(table)["engram"]
    assert (ours["score"], ours["difference"], ours["published in interval"]) == ("70.00", "–", "–")
    timed = "–" if "reader" in changes else "1.50"
    assert ours["p50 s"] == timed


def test_answers_made_elsewhere() -> None:
    mine = _manifest(
        reader={"name": RECORDED, "model": "unknown", "window": 0},
        backends={"mem0": backend(limit="unknown")},
        embedder={"name": None, "dimensions": None},
        budget=None,
    )
    (table,), notes = _paper((mine, _records("mem0", 66, context_tokens=None, retrieval_s=None, answer_s=None)))
    ours = _cells(table)["mem0"]
    assert (ours["tokens"], ours["p50 s"]) == ("–", "–")
    assert ours["difference"] != "–"
    text = " ".join(notes)
    assert "the answers were made elsewhere, by an unknown model (published: gpt-4o-mini)" in text
    assert "mem0 is not Mem0 as published: its settings and its budget are unknown" in text
    assert "this project's judge prompts, an unknown embedder" in text
    assert "Latency is taken from the file of answers" in text


def test_generated_dialogues_have_no_published_figures() -> None:
    generated = _with_dataset(_manifest(), name="synthetic")
    tables, notes = _paper((generated, _records("engram", 70)))
    assert tables == []
    assert notes == ["synthetic has no published figures to compare with. Its dialogues are generated by this project."]


def test_runs_of_both_benchmarks_have_a_table_each() -> None:
    other = _manifest(budget=1200, backends={"engram": {**backend(), "settings": _RULES}})
    other = _with_dataset(other, name="longmemeval_s", headline=("multi-session",), categories=("multi-session",))
    long = _records("engram", 70, asked=500)
    tables, notes = _paper((_manifest(), _records("engram", 70)), (other, long))
    assert [table.title.split(":")[1].split()[0] for table in tables] == ["locomo", "longmemeval_s"]
    assert list(_cells(tables[1])) == ["ENGRAM", "engram (run1)", "full history"]
    assert not any("run1" in note and "a budget of" in note for note in notes)  # 1,200 are as published
    assert any(note.startswith("run1: ") and "judge model gpt-4o-mini (published: unknown)" in note for note in notes)


def test_a_backend_answers_by_its_preset_before_its_name() -> None:
    labels = ["engram:dense", "engram", "engram:paper", "engram:paper-untyped", "bm25"]
    backends = {label: backend() for label in labels}
    records = [item for label in labels for item in _records(label, 50, asked=20)]
    (table,), _ = _paper((_manifest(backends=backends), records))
    assert list(_cells(table))[:7] == [
        "ENGRAM", "engram:paper", "engram", "engram:dense", "full history", "MemOS", "Mem0",
    ]  # fmt: skip
    names = list(_cells(table))
    assert names[names.index("ENGRAM, one untyped store") + 1] == "engram:paper-untyped"


def test_a_run_without_a_published_memory_or_without_records() -> None:
    _, notes = _paper((_manifest(backends={"bm25": backend()}), []))
    assert notes[0].startswith(
        "None of these backends corresponds to a published system; these do: engram:paper, engram,"
    )
    (table,), _ = _paper((_manifest(), []))
    assert _cells(table)["engram"]["score"] == "–"


def _published(benchmark: Benchmark) -> tuple[Published, ...]:
    assert benchmark.published is not None
    return published(benchmark.published)


def test_the_files_of_published_figures_are_sound() -> None:
    entries = [(benchmark, entry) for benchmark in (LOCOMO, LONGMEMEVAL_S) for entry in _published(benchmark)]
    reproduced = {(benchmark.name, e.name): (e.score, e.tokens, e.p50_s, e.p95_s) for benchmark, e in entries}
    assert len(reproduced) == len(entries)  # a row has a name of its own
    assert reproduced["locomo", "ENGRAM"] == (77.55, (916, 916), 1.487, 1.819)
    assert reproduced["locomo", "full history"] == (72.60, None, 9.940, 17.832)
    assert reproduced["locomo", "full history, in Mem0's paper"] == (72.90, (26_031, 26_031), 9.870, 17.117)
    assert (reproduced["locomo", "Mem0"][0], reproduced["locomo", "Mem0, in Mem0's paper"][0]) == (64.73, 66.88)
    assert reproduced["longmemeval_s", "ENGRAM"][0] == 71.40
    assert reproduced["longmemeval_s", "full history"][0] == 56.20
    assert all(
        entry.source.startswith("arXiv ") and entry.table.startswith(("table", "figure")) for _, entry in entries
    )
    for benchmark, entry in entries:
        assert {*entry.categories, *entry.by_category} <= set(benchmark.categories)
        assert set(entry.open) <= set(entry.settings)
        for name in entry.backends:
            if name.startswith(("engram", "full-history")):
                assert set(entry.settings) <= set(vars(open_backend(name, {}))), name  # the names of our settings


def test_the_types_of_longmemeval_average_to_the_published_score() -> None:
    """Over the benchmark's number of questions of each type."""
    sizes = {"user": 70, "assistant": 56, "preference": 30, "multi": 133, "update": 78, "temporal": 133}
    for entry in _published(LONGMEMEVAL_S):
        weighted = sum(
            next(size for part, size in sizes.items() if part in name) * score
            for name, score in entry.by_category.items()
        )
        assert weighted / 500 == pytest.approx(entry.score, abs=0.01)


def test_the_paper_preset_is_the_published_setting() -> None:
    ours = vars(open_backend("engram:paper", {}))
    entry = next(e for e in _published(LOCOMO) if e.name == "ENGRAM")
    assert {name: ours[name] for name in entry.settings} == dict(entry.settings)


@pytest.mark.parametrize("benchmark", [LOCOMO, LONGMEMEVAL_S], ids=lambda benchmark: benchmark.name)
def test_the_files_hold_no_field_that_is_not_read(benchmark: Benchmark) -> None:
    assert benchmark.published is not None
    read = set(Published.__dataclass_fields__)
    for group in tomllib.loads(benchmark.published.read_text())["measured"]:
        assert {*group} - {"system"} <= read
        assert all({*system} <= read for system in group["system"])
