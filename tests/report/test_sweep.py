"""Sweeps: which backends make one, checked against a brute-force search, and what the page shows of it."""

from __future__ import annotations

import itertools
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.compare.comparison import compare
from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.summary import summarise
from engram_eval.report.sweep import Sweep, sweep_chart, sweeps
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import BackendEntry
from engram_eval.results.summary import BackendSummary
from tests.records import backend, manifest, manifest_json, record
from tests.report.pages import HOSTILE, folder, page

Entry = dict[str, Any]
"""A backend in a manifest, as JSON."""


def _entry(name: str = "mine", **own_settings: Any) -> Entry:
    return {**backend(), "backend": name, "settings": own_settings}


def _swept(path: Path, entries: dict[str, Entry], *, recall: float = 0.5, **changes: Any) -> RunFolder:
    """Ten questions about two conversations; each backend finds a little more than the one before it."""
    records = [
        record(
            backend=label, conversation_id=f"c{i % 2}", question_id=f"c{i % 2}:q{i}", correct=i < 4 + n,
            evidence_recall=min(1.0, recall + 0.05 * n + 0.01 * i),
        )
        for n, label in enumerate(entries)
        for i in range(10)
    ]  # fmt: skip
    dataset = {**manifest_json()["dataset"], "questions": 10}
    return folder(path, records, backends=entries, dataset=dataset, **changes)


def _row(name: str, entry: BackendEntry, **measures: Any) -> BackendRow:
    """A row with these settings and figures."""
    return BackendRow(name, name, "r", None, entry, _nothing_measured().model_copy(update=measures))


@cache
def _nothing_measured() -> BackendSummary:
    return summarise([], manifest(backends={"x": backend()})).backends["x"]


def _numbers(text: str, title: str) -> list[list[str]]:
    """The table of numbers under a chart."""
    figure = next(part for part in re.findall(r"<figure.*?</figure>", text, re.DOTALL) if f"<h3>{title}</h3>" in part)
    rows = re.findall(r"<tr>(.*?)</tr>", figure, re.DOTALL)
    return [re.findall(r"<bdi>(.*?)</bdi>", row) for row in rows]


def test_a_run_of_one_backend_at_three_values_has_a_chart_and_its_numbers(tmp_path: Path) -> None:
    entries = {f"at {value}": _entry(value=value, other=1) for value in (0.5, 0.1, 0.25)}  # not in order
    run_folder = _swept(tmp_path / "mine", entries)
    text = page(run_folder)
    heading, *rows = _numbers(text, "Sweep of value (mine)")
    assert heading == ["value", "backend", "evidence recall", "95 % interval", "accuracy, %", "95 % interval"]
    assert [row[:2] for row in rows] == [["0.1", "at 0.1"], ["0.25", "at 0.25"], ["0.5", "at 0.5"]]
    for _, label, recall, interval, accuracy, accuracy_interval in rows:
        summary = next(row.summary.to_json() for row in compare([run_folder]).rows if row.name == label)
        low, high = summary["evidence_recall_ci"]
        assert (recall, interval) == (f"{summary['evidence_recall']:.3f}", f"{low:.3f}–{high:.3f}")
        low, high = (100 * end for end in summary["accuracy_ci"])
        assert (accuracy, accuracy_interval) == (f"{100 * summary['accuracy']:.1f}", f"{low:.1f}–{high:.1f}")
    assert "with all other settings equal" in text
    assert text.count("<svg") % 2 == 0  # each chart for a wide page and for a narrow one


@pytest.mark.parametrize(
    "entries",
    [
        [_entry(value=1), _entry(value=2)],
        [_entry(value=1), _entry(value=2), _entry(value=2)],
        [_entry(value=1), _entry(value=2), _entry("yours", value=3)],
        [_entry(value=1, x=1), _entry(value=2, x=1), _entry(value=3, x=2)],
        [_entry(on=True), _entry(on=False), _entry(on="no")],
        [_entry(value="1"), _entry(value="2"), _entry(value="3")],
        [backend(), backend(), backend()],  # a manifest that does not name the backends
    ],
)
def test_too_few_values_other_backends_and_words_are_not_a_sweep(entries: list[Entry]) -> None:
    assert not sweeps([_row(str(n), BackendEntry.model_validate(entry)) for n, entry in enumerate(entries)])


def test_two_sweeps_of_one_setting_have_distinct_titles_and_a_large_range_has_a_log_axis(tmp_path: Path) -> None:
    entries = {f"k {k} w {w}": _entry(k=k, w=w, same=3) for w in ("a", "b") for k in (1, 10, 100)}
    text = page(_swept(tmp_path / "mine", entries, recall=0.2))
    assert re.findall(r"<h3>(Sweep of .*?)</h3>", text) == ["Sweep of k (mine, w a)", "Sweep of k (mine, w b)"]
    assert "k (log)" in text


def test_each_run_has_its_own_sweeps(tmp_path: Path) -> None:
    entries = {str(value): _entry(value=value) for value in (0, 1, 2)}
    first, second = _swept(tmp_path / "one", entries), _swept(tmp_path / "two", entries)
    assert re.findall(r"<h3>(Sweep of .*?)</h3>", page(first, second)) == [
        "Sweep of value (mine, one)", "Sweep of value (mine, two)",
    ]  # fmt: skip


def test_a_measure_without_figures_is_not_drawn(tmp_path: Path) -> None:
    entries = {str(value): _entry(value=value) for value in (0, 1, 2)}
    without_evidence = folder(
        tmp_path / "without-evidence",
        [record(backend=label, evidence_recall=None) for label in entries],
        backends=entries,
    )
    assert _numbers(page(without_evidence), "Sweep of value (mine)")[0] == [
        "value",
        "backend",
        "accuracy, %",
        "95 % interval",
    ]
    empty = folder(tmp_path / "empty", [], backends=entries)
    assert "Sweep of" not in page(empty)


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    entries = {
        f"{value} {HOSTILE[0]}": {**backend(), "backend": HOSTILE[1], "settings": {HOSTILE[0]: value, "x": HOSTILE[2]}}
        for value in (1, 2, 3)
    }
    text = page(_swept(tmp_path / "mine", entries))
    assert len(re.findall(r"<script", text)) == 3
    assert not re.search(r"<(img|iframe|svg onload)", text)
    assert "Sweep of &lt;/script&gt;" in text


_SETTINGS = st.fixed_dictionaries(
    {"a": st.sampled_from([0, 1, 2.5, 4]), "b": st.sampled_from([0, 1]), "c": st.booleans()}
)


@settings(max_examples=200)
@given(st.lists(_SETTINGS, max_size=12))
def test_sweeps_are_the_largest_sets_that_differ_in_one_number(all_settings: list[dict[str, Any]]) -> None:
    """Compared with a search over all pairs: rows belong to one sweep if only its setting differs."""
    rows = [_row(str(n), BackendEntry(backend="x", settings=own)) for n, own in enumerate(all_settings)]
    actual = {(sweep.setting, sweep.values, tuple(int(row.name) for row in sweep.rows)) for sweep in sweeps(rows)}
    expected = set()
    for setting, start in itertools.product(("a", "b"), range(len(all_settings))):
        equal = [
            n for n, own in enumerate(all_settings)
            if all(own[name] == all_settings[start][name] for name in own if name != setting)
        ]  # fmt: skip
        firsts = {all_settings[n][setting]: n for n in reversed(equal)}
        if len(firsts) >= 3:
            expected.add((setting, tuple(sorted(firsts)), tuple(firsts[value] for value in sorted(firsts))))
    assert actual == expected


def test_the_chart_names_no_particular_backend() -> None:
    rows = tuple(
        _row(
            f"b{x}",
            BackendEntry(backend="x"),
            evidence_recall=0.1 * x,
            evidence_recall_ci=(0.0, 0.1 * x + 0.1),
            accuracy=0.5,
            accuracy_ci=(0.4, 0.6),
        )
        for x in (1, 2, 3)
    )
    chart = sweep_chart(Sweep("r", "kind", "setting", {}, (1.0, 2.0, 3.0), rows), None)
    assert chart is not None
    assert chart.shape == "broad"
    text = json.dumps([chart.title, chart.caption, chart.numbers])
    assert "kind at 3 values of setting" in text
    assert "alloc" not in text
    for drawn in (chart.wide, chart.narrow):
        assert drawn.startswith("<svg")
        assert "var(--c1)" in drawn
        assert "var(--c2)" in drawn
