"""Checks: which changes hold, which fail, and which cannot be distinguished from chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engram_eval.errors import UserError
from engram_eval.gate import metrics
from engram_eval.results.record import Record
from tests.gate.runs import BACKENDS, command, number_of, run_check, with_changes, write_rules, write_run
from tests.records import backend


def test_an_identical_run_holds_and_every_difference_is_exactly_0(capsys: pytest.CaptureFixture[str]) -> None:
    write_run()
    names = [name for name in metrics() if name != "latency_ratio"]
    assert run_check(write_rules("".join(f'[[rule]]\nmetric = "{name}"\nmargin = 0\n' for name in names))) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("holds")]
    assert len(lines) == 2 * len(names) - 1  # the full history has no nDCG
    assert all(line.count("+0.0") == 3 for line in lines)
    assert "Holds: none of 13 fails." in out


def test_the_degraded_backend_checked_against_engram_fails(capsys: pytest.CaptureFixture[str]) -> None:
    write_run()
    assert run_check("--backend-map", "degraded=engram") == 1
    out = capsys.readouterr().out
    assert "Regressed: 2 of 8 fail." in out
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("FAILS")] == [
        ["FAILS", "degraded", "accuracy"],
        ["FAILS", "degraded", "evidence_recall"],
    ]


@pytest.mark.parametrize(
    ("metric", "margin", "change"),
    [
        ("accuracy", "0.05", lambda i: {"correct": False} if number_of(i) % 3 == 0 else {}),
        ("evidence_recall", "0.05", lambda i: {"evidence_recall": (i.evidence_recall or 0) / 2}),
        ("evidence_all", "0.05", lambda _: {"evidence_all": False}),
        ("answer_in_context", "0.05", lambda i: {"answer_in_context": False if i.answer_in_context else i.answer_in_context}),
        ("ndcg@10", "0.05", lambda i: {"retrieved": ["D8:8", *i.retrieved]}),
        ("context_tokens", '"5%"', lambda i: {"context_tokens": i.context_tokens + 60}),
        ("context_tokens", "50", lambda i: {"context_tokens": i.context_tokens + 60}),
        ("cost_usd", '"10%"', lambda i: {"cost_usd": i.cost_usd * 1.2}),
    ],
)  # fmt: skip
def test_a_regression_of_each_metric_fails_its_rule_and_an_improvement_holds(
    metric: str, margin: str, change: Callable[[Record], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    rules = write_rules(f'[[rule]]\nmetric = "{metric}"\nbackend = "engram"\nmargin = {margin}')
    assert run_check(rules, run=str(write_run(with_changes(change), "worse"))) == 1
    assert command("baseline", "worse", "-o", "base.json") == 0
    capsys.readouterr()
    assert run_check(rules, run="before") == 0
    assert "Better than the baseline by more than the margin: engram;" in capsys.readouterr().out


def test_latency_is_compared_as_a_ratio_if_the_baseline_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    rules = write_rules('[[rule]]\nmetric = "latency_ratio"\nbackend = "engram"\nmargin = 0.5')
    twice_as_long = with_changes(lambda i: {"retrieval_s": 2 * (i.retrieval_s or 0), "answer_s": 2 * (i.answer_s or 0)})
    slow = write_run(twice_as_long)
    with pytest.raises(UserError, match="has no latency_ratio of engram; write the baseline with --with-latency"):
        run_check(rules, run=str(slow))
    assert command("baseline", "before", "-o", "base.json", "--with-latency") == 0
    assert run_check(rules, run="before") == 0
    assert run_check(rules, run=str(slow)) == 1
    assert "+100.0%" in capsys.readouterr().out


def test_a_change_for_the_worse_that_may_be_chance_does_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    write_run(with_changes(lambda i: {"correct": i.correct and number_of(i) != 0}))
    assert run_check(write_rules('[[rule]]\nmetric = "accuracy"\nmargin = 0.01')) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].startswith("cannot tell  engram")
    assert "Holds: none of 2 fails; 1 cannot tell." in out


def test_a_rule_with_a_category_is_about_its_questions_alone() -> None:
    write_run(with_changes(lambda i: {"correct": False} if i.category == "adversarial" else {}))
    rule = '[[rule]]\nmetric = "accuracy"\nmargin = 0.1\n'
    assert run_check(write_rules(rule)) == 0  # not a headline category
    assert run_check(write_rules(rule + 'category = "multi-hop"')) == 0
    assert run_check(write_rules(rule + 'category = "adversarial"')) == 1


def test_changed_settings_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    write_run(backends={**BACKENDS, "engram": {**backend(), "settings": {"k": 9}}})
    assert run_check() == 0
    assert "engram: its settings differ from the baseline's (k was None and is 9)." in capsys.readouterr().out
