"""Sweeps: which backends make one, by another way of finding them, and what the page shows of it."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engram_eval.compare.comparison import compare
from engram_eval.compare.rows import BackendRow
from engram_eval.metrics.summary import summarise
from engram_eval.report.sweep import Sweep, sweep_chart, sweeps
from engram_eval.results.folder import RunFolder
from engram_eval.results.manifest import BackendEntry
from tests.records import backend, manifest, manifest_json, record
from tests.report.pages import HOSTILE, folder, page

Described = dict[str, Any]


def _facts(kind: str = "mine", **own: Any) -> Described:
    return {**backend(), "backend": kind, "settings": own}


def _swept(path: Path, described: dict[str, Described], *, found: float = 0.5, **changes: Any) -> RunFolder:
    """Ten questions about two conversations; the nth backend finds a little more than the one before."""
    records = [
        record(
            backend=label, conversation_id=f"c{i % 2}", question_id=f"c{i % 2}:q{i}", correct=i < 4 + n,
            evidence_recall=min(1.0, found + 0.05 * n + 0.01 * i),
        )
        for n, label in enumerate(described)
        for i in range(10)
    ]  # fmt: skip
    dataset = {**manifest_json()["dataset"], "questions": 10}
    return folder(path, records, backends=described, dataset=dataset, **changes)


def _row(name: str, *, settings: dict[str, Any] | None = None, **measures: Any) -> BackendRow:
    """A row with these settings and figures."""
    summary = next(iter(summarise([], manifest(backends={"x": backend()})).backends.values()))
    entry = BackendEntry(backend="x", settings=settings or {})
    return BackendRow(name, name, "r", None, entry, summary.model_copy(update=measures))


def _numbers(text: str, title: str) -> list[list[str]]:
    """The table that stands under a chart for those who do not see it."""
    figure = next(part for part in re.findall(r"<figure.*?</figure>", text, re.DOTALL) if f"<h3>{title}</h3>" in part)
    rows = re.findall(r"<tr>(.*?)</tr>", figure, re.DOTALL)
    return [re.findall(r"<bdi>(.*?)</bdi>", row) for row in rows]


def test_a_run_of_one_backend_at_three_values_has_a_chart_and_its_numbers(tmp_path: Path) -> None:
    described = {f"at {value}": _facts(value=value, other=1) for value in (0.5, 0.1, 0.25)}  # in no order
    made = _swept(tmp_path / "mine", described)
    text = page(made)
    heading, *rows = _numbers(text, "Sweep of value (mine)")
    assert heading == ["value", "backend", "evidence recall", "95 % interval", "accuracy, %", "95 % interval"]
    assert [row[:2] for row in rows] == [["0.1", "at 0.1"], ["0.25", "at 0.25"], ["0.5", "at 0.5"]]
    for _, label, recall, interval, accuracy, accuracy_interval in rows:
        summary = next(row.summary.to_json() for row in compare([made]).rows if row.name == label)
        low, high = summary["evidence_recall_ci"]
        assert (recall, interval) == (f"{summary['evidence_recall']:.3f}", f"{low:.3f}–{high:.3f}")
        low, high = (100 * end for end in summary["accuracy_ci"])
        assert (accuracy, accuracy_interval) == (f"{100 * summary['accuracy']:.1f}", f"{low:.1f}–{high:.1f}")
    assert "all other settings alike" in text
    assert text.count("<svg") % 2 == 0  # each chart for a wide page and for a narrow one


def test_fewer_values_other_kinds_and_words_are_no_sweep(tmp_path: Path) -> None:
    for number, described in enumerate(
        (
            {"a": _facts(value=1), "b": _facts(value=2)},
            {"a": _facts(value=1), "b": _facts(value=2), "c": _facts(value=2)},
            {"a": _facts(value=1), "b": _facts(value=2), "c": _facts("yours", value=3)},
            {"a": _facts(value=1, x=1), "b": _facts(value=2, x=1), "c": _facts(value=3, x=2)},
            {"a": _facts(on=True), "b": _facts(on=False), "c": _facts(on="no")},
            {"a": _facts(value="1"), "b": _facts(value="2"), "c": _facts(value="3")},
            {"a": backend(), "b": backend(), "c": backend()},  # a manifest that does not say what they are
        )
    ):
        assert "Sweep of" not in page(_swept(tmp_path / str(number), described)), described


def test_two_sweeps_of_one_setting_are_told_apart_and_a_large_range_is_drawn_on_a_log_axis(tmp_path: Path) -> None:
    described = {f"k {k} w {w}": _facts(k=k, w=w, same=3) for w in ("a", "b") for k in (1, 10, 100)}
    text = page(_swept(tmp_path / "mine", described, found=0.2))
    assert re.findall(r"<h3>(Sweep of .*?)</h3>", text) == ["Sweep of k (mine, w a)", "Sweep of k (mine, w b)"]
    assert "k (log)" in text


def test_runs_have_their_own_sweeps(tmp_path: Path) -> None:
    described = {str(value): _facts(value=value) for value in (0, 1, 2)}
    one, two = _swept(tmp_path / "one", described), _swept(tmp_path / "two", described)
    assert re.findall(r"<h3>(Sweep of .*?)</h3>", page(one, two)) == [
        "Sweep of value (mine, one)", "Sweep of value (mine, two)",
    ]  # fmt: skip


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    described = {str(value): _facts(value=value) for value in (0, 1, 2)}
    bare = folder(
        tmp_path / "bare", [record(backend=label, evidence_recall=None) for label in described], backends=described
    )
    assert _numbers(page(bare), "Sweep of value (mine)")[0] == ["value", "backend", "accuracy, %", "95 % interval"]
    empty = folder(tmp_path / "empty", [], backends=described)
    assert "Sweep of" not in page(empty)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    described = {
        f"{value} {HOSTILE[0]}": {**backend(), "backend": HOSTILE[1], "settings": {HOSTILE[0]: value, "x": HOSTILE[2]}}
        for value in (1, 2, 3)
    }
    text = page(_swept(tmp_path / "mine", described))
    assert len(re.findall(r"<script", text)) == 3
    assert not re.search(r"<(img|iframe|svg onload)", text)
    assert "Sweep of &lt;/script&gt;" in text


_SETTINGS = st.fixed_dictionaries(
    {"a": st.sampled_from([0, 1, 2.5, 4]), "b": st.sampled_from([0, 1]), "c": st.booleans()}
)


@settings(max_examples=200)
@given(st.lists(_SETTINGS, max_size=12))
def test_sweeps_are_the_largest_sets_that_differ_in_one_number(every: list[dict[str, Any]]) -> None:
    """Against a search over all pairs: rows are of one sweep if they differ in nothing but its setting."""
    rows = [_row(str(n), settings=own) for n, own in enumerate(every)]
    found = {(sweep.setting, sweep.values, tuple(int(row.name) for row in sweep.rows)) for sweep in sweeps(rows)}
    expected = set()
    for setting, start in itertools.product(("a", "b"), range(len(every))):
        alike = [
            n for n, own in enumerate(every)
            if all(own[name] == every[start][name] for name in own if name != setting)
        ]  # fmt: skip
        firsts = {every[n][setting]: n for n in reversed(alike)}
        if len(firsts) >= 3:
            expected.add((setting, tuple(sorted(firsts)), tuple(firsts[value] for value in sorted(firsts))))
    assert found == expected


def test_the_chart_itself_says_nothing_of_what_is_swept() -> None:
    rows = tuple(
        _row(
            f"b{x}",
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
    said = json.dumps([chart.title, chart.caption, chart.numbers])
    assert "kind at 3 values of setting" in said
    assert "alloc" not in said
    for drawn in (chart.wide, chart.narrow):
        assert drawn.startswith("<svg")
        assert "var(--c1)" in drawn
        assert "var(--c2)" in drawn
