"""Rules files: each fault is one sentence that names the rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from engram_eval.errors import UserError
from engram_eval.gate import read_rules
from tests.gate.runs import run_check, write_rules

_NO_MARGIN = 'not a number from 0, nor a share such as "5%"'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "rules.toml: has no rules; write each as a table [[rule]]"),
        ("rule = 3", "rules.toml: has no rules; write each as a table [[rule]]"),
        ("rule = [3]", "rules.toml: rule 1: the value is 3, not an object; docs/ci.md describes what a rule has"),
        ("[[rule", "rules.toml: not TOML ("),
        (
            "x = 1\n[[rule]]\nmetric = 'accuracy'\nmargin = 0",
            "rules.toml: 'x' is not a known key; write each rule as a table [[rule]]",
        ),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = 0\nmargn = 1", "rules.toml: rule 1: 'margn' is not a known key;"),
        ("[[rule]]\nmetric = 'acuracy'\nmargin = 1", "rules.toml: rule 1: 'metric' is 'acuracy', not one of accuracy, "),
        ("[[rule]]\nmetric = ['accuracy']\nmargin = 1", "rules.toml: rule 1: 'metric': not one of accuracy, "),
        ("[[rule]]\nmetric = 'accuracy'", "rules.toml: rule 1: 'margin' is missing;"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = -0.1", f"rules.toml: rule 1: 'margin' is -0.1, {_NO_MARGIN};"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = nan", f"rules.toml: rule 1: 'margin' is nan, {_NO_MARGIN};"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = inf", f"rules.toml: rule 1: 'margin' is inf, {_NO_MARGIN};"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = true", f"rules.toml: rule 1: 'margin' is true, {_NO_MARGIN};"),
        (
            "[[rule]]\nmetric = 'accuracy'\nmargin = 0\n[[rule]]\nmetric = 'accuracy'\nmargin = '5'",
            f"rules.toml: rule 2: 'margin' is '5', {_NO_MARGIN};",
        ),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = 0\nbackend = 3", "rules.toml: rule 1: 'backend' is 3, not text;"),
        ("[[rule]]\nmetric = 'accuracy'\nmargin = 2", "rules.toml: rule 1: 'margin' is 2, which lets any share pass; write"),
        (
            "[[rule]]\nmetric = 'accuracy'\nmargin = 0\nbackend = 'x'",
            "rules.toml: rule 1: base.json has no backend 'x'; it has engram, full-history",
        ),
        (
            "[[rule]]\nmetric = 'accuracy'\nmargin = 0\ncategory = 'x'",
            "rules.toml: rule 1: 'category' is 'x', not one of multi-hop, single-hop, adversarial;",
        ),
        (
            "[[rule]]\nmetric = 'ndcg@10'\nmargin = 0\nbackend = 'full-history'",
            "rules.toml: rule 1: base.json has no ndcg@10 of full-history; leave the rule out",
        ),
        (
            "[[rule]]\nmetric = 'ndcg@10'\nmargin = 0\ncategory = 'adversarial'",
            "rules.toml: rule 1: no question of adversarial has a ndcg@10 of engram in both before and base.json;",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_is_wrong_is_one_sentence_with_its_number(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as refusal:
        run_check(write_rules(text), run="before")
    assert str(refusal.value).startswith(sentence)


def test_a_rules_file_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"nowhere\.toml: cannot be read \(there is no such file\)"):
        run_check("--rules=nowhere.toml", run="before")


def test_the_projects_own_rules_are_valid() -> None:
    rules = read_rules(Path(__file__).parents[2] / "benchmarks" / "check.toml")
    assert {rule.backend for rule in rules} == {"engram", "bm25", "dense", "full-history"}
