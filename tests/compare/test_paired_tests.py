"""Pairs, from outcomes made by hand and from simulated ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engram_eval.compare.paired_tests import Outcome, Pair, compare_pairs, difference, outcomes, pair_notes
from tests.records import failed, record, run


def _outcomes(correct: Any, conversations: int = 10) -> dict[str, Outcome]:
    """Questions one after the other, as many a conversation as it comes to; None is an error."""
    each = -(-len(correct) // conversations)
    return {
        f"q{i}": Outcome(
            f"c{i // each}",
            None if right is None else bool(right),
            {"context_tokens": 900 + i % 7, "latency_s": 0.01, "cost_usd": 0.0, "evidence_recall": None},
        )
        for i, right in enumerate(correct)
    }


def _one(first: Any, second: Any, conversations: int = 10) -> Pair:
    (found,) = compare_pairs(
        [("a", "b")], {"a": _outcomes(first, conversations), "b": _outcomes(second, conversations)}, seed=0
    )
    return found


def test_outcomes_are_of_the_headline_and_an_error_is_neither_right_nor_wrong() -> None:
    found = outcomes(run(), ["multi-hop", "single-hop"])
    assert list(found["engram"]) == ["a:q0", "a:q1", "b:q2"]
    assert found["bm25"]["b:q2"].correct is None
    assert found["engram"]["a:q0"].values["latency_s"] == pytest.approx(0.011)
    assert outcomes([failed(category="single-hop")], ["single-hop"])["engram"]["conv-1:q0"].values["latency_s"] is None
    assert outcomes([record(retrieval_s=None)], ["single-hop"])["engram"]["conv-1:q0"].values["latency_s"] is None


def test_a_memory_that_is_right_more_often_is_better_and_the_other_worse() -> None:
    good, bad = (np.random.default_rng(0).permutation([True] * n + [False] * (100 - n)) for n in (80, 40))
    found = _one(good, bad)
    assert found.accuracy.mean == pytest.approx(0.4)
    assert (found.only_first - found.only_second, found.accuracy.n) == (40, 100)
    assert found.word == "better"
    assert _one(bad, good).word == "worse"


def test_the_word_for_equals_says_how_large_a_difference_may_be() -> None:
    right = np.random.default_rng(1).random(2000) < 0.6
    other = right.copy()
    other[::100] = ~other[::100]
    found = _one(right, other)
    assert found.accuracy.interval
    widest = 100 * max(map(abs, found.accuracy.interval))
    assert found.word.startswith("no difference larger than ")
    assert widest <= float(found.word.rpartition(" ")[2]) < widest + 0.1 + 1e-9


def test_few_questions_cannot_tell_even_if_they_all_agree() -> None:
    assert _one([True] * 8, [True] * 8).word == "cannot tell"
    assert _one([True] * 4, [False] * 4).word == "cannot tell"  # p = 0.125
    assert _one([True], [False]).accuracy.interval is not None


def test_errors_are_bounds_and_a_word_holds_for_both_of_them() -> None:
    first = [True] * 60 + [False] * 40
    second = [False] * 30 + [True] * 20 + [False] * 50
    sure = _one(first, second)
    assert (sure.word, sure.bounds) == ("better", None)
    found = _one([None] * 50 + first[50:], second)
    assert found.accuracy.n == 50
    assert found.bounds
    assert list(found.bounds) == pytest.approx([(10 - 20) / 100, (60 - 20) / 100])
    assert found.word == "cannot tell"


def test_pairs_are_by_question_id_and_not_by_place() -> None:
    first = _outcomes([True, False] * 20)
    second = dict(reversed(first.items())) | {"other": next(iter(first.values()))}
    (found,) = compare_pairs([("a", "b")], {"a": first, "b": second}, seed=0)
    assert (found.only_first, found.only_second, found.accuracy.n) == (0, 0, 40)
    assert compare_pairs([("a", "b")], {"a": first, "b": {"other": second["other"]}}, seed=0) == []


def test_the_tests_of_many_pairs_are_adjusted() -> None:
    """8 : 0 alone has p = 0.008, below 0.05; ten such tests of which nine find nothing have not."""
    base = [True] * 40 + [False] * 40
    better = [True] * 48 + [False] * 32
    of = {"better": _outcomes(better), "base": _outcomes(base)} | {f"same{i}": _outcomes(base) for i in range(9)}
    alone = compare_pairs([("better", "base")], of, seed=0)[0]
    among = compare_pairs([(name, "base") for name in of if name != "base"], of, seed=0)[0]
    assert alone.p == alone.p_holm == among.p == pytest.approx(2 / 2**8)
    assert among.p_holm == pytest.approx(10 * 2 / 2**8)
    assert among.word == "cannot tell"


def test_tokens_time_and_cost_are_differences_of_a_question_and_of_what_is_known() -> None:
    first, second = _outcomes([True] * 20), _outcomes([True] * 20)
    second = {
        question: replace(
            outcome, values={**outcome.values, "context_tokens": 15_000, "latency_s": None, "cost_usd": 0.5}
        )
        for question, outcome in second.items()
    }
    (found,) = compare_pairs([("a", "b")], {"a": first, "b": second}, seed=0)
    tokens, cost = found.measures["context_tokens"], found.measures["cost_usd"]
    assert tokens is not None
    assert cost is not None
    assert tokens.mean == pytest.approx(np.mean([900 + i % 7 for i in range(20)]) - 15_000)
    assert cost.interval
    assert list(cost.interval) == pytest.approx([-0.5, -0.5])
    assert found.measures["latency_s"] is None


def test_few_conversations_are_said_to_be_rough() -> None:
    assert difference([1.0, 0.0, 0.0, 1.0], "aabb", seed=0).rough
    assert not difference([1.0, 0.0, 0.0, 1.0, 0.0], "abcde", seed=0).rough
    found = _one([True, False] * 20, [True, True] * 20, conversations=1)
    assert found.accuracy.rough
    assert "rough: with fewer than 5 conversations" in " ".join(note.text for note in pair_notes([found]))
    assert pair_notes([]) == []


def test_conversations_that_differ_widen_an_interval_and_those_that_agree_never_narrow_it() -> None:
    clusters = [i // 20 for i in range(200)]
    apart = difference([float(i // 20 % 2) for i in range(200)], clusters, seed=0).interval
    alike = difference([float(i % 2) for i in range(200)], clusters, seed=0).interval
    assert apart
    assert alike
    assert apart[1] - apart[0] > 3 * (alike[1] - alike[0])
    assert alike[1] - alike[0] > 0.13  # Student's over the questions; all conversations have a mean of a half


def _right(chance: npt.NDArray[np.float64], rng: np.random.Generator) -> list[bool]:
    return (rng.random(chance.shape) < chance).ravel().tolist()


@pytest.mark.parametrize("own", [0.0, 0.1])
def test_where_there_is_no_difference_one_is_found_in_at_most_five_of_a_hundred(own: float) -> None:
    """400 experiments of ten conversations of 30 questions; at `own` > 0 a conversation favours one or the other, so that
    questions are not independent and McNemar's test alone finds too much. At most 5 %, and three standard errors."""
    rng = np.random.default_rng(2)
    told = 0
    for seed in range(400):
        level = rng.uniform(0.3, 0.8, (10, 30))
        favour = rng.normal(0, own, (10, 1))
        of = {
            "a": _outcomes(_right(np.clip(level + favour, 0, 1), rng)),
            "b": _outcomes(_right(np.clip(level - favour, 0, 1), rng)),
        }
        (found,) = compare_pairs([("a", "b")], of, seed=seed, resamples=500)
        told += found.word in ("better", "worse")
    assert told <= 400 * (0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5)


def test_the_interval_of_a_difference_in_accuracy_covers_the_truth() -> None:
    """300 experiments with a true difference of 0.1: at least 95 % less three standard errors."""
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(300):
        level = np.clip(rng.normal(0.5, 0.1, (10, 1)), 0.1, 0.9) + np.zeros((10, 30))
        of = {"a": _outcomes(_right(level + 0.05, rng)), "b": _outcomes(_right(level - 0.05, rng))}
        (found,) = compare_pairs([("a", "b")], of, seed=seed, resamples=500)
        assert found.accuracy.interval
        covered += found.accuracy.interval[0] <= 0.1 <= found.accuracy.interval[1]
    assert covered >= 300 * (0.95 - 3 * (0.05 * 0.95 / 300) ** 0.5)
