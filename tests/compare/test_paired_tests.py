"""Pairs, from outcomes made by hand and from simulated ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engram_eval.compare.paired_tests import Outcome, Outcomes, Pair, compare_pairs, difference, pair_notes
from engram_eval.results.record import Record
from tests.records import failed, record, run


def _outcomes(correct: Any, conversations: int = 10) -> dict[str, Outcome]:
    """Questions in order, spread evenly over the conversations; None is an error."""
    each = -(-len(correct) // conversations)
    return {
        f"q{i}": Outcome(
            f"c{i // each}",
            None if right is None else bool(right),
            {"context_tokens": 900 + i % 7, "latency_s": 0.01, "cost_usd": 0.0, "evidence_recall": None},
        )
        for i, right in enumerate(correct)
    }


def _pair(first: Any, second: Any, conversations: int = 10) -> Pair:
    (pair,) = compare_pairs(
        [("a", "b")], {"a": _outcomes(first, conversations), "b": _outcomes(second, conversations)}, seed=0
    )
    return pair


def _collected(records: Iterable[Record]) -> dict[str, dict[str, Outcome]]:
    outcomes = Outcomes(["multi-hop", "single-hop"])
    assert list(outcomes.collect(records)) == list(records)
    return outcomes.by_backend


def test_outcomes_cover_the_headline_and_an_error_is_neither_right_nor_wrong() -> None:
    by_backend = _collected(run())
    assert list(by_backend["engram"]) == ["a:q0", "a:q1", "b:q2"]
    assert by_backend["bm25"]["b:q2"].correct is None
    assert by_backend["engram"]["a:q0"].values["latency_s"] == pytest.approx(0.011)
    for unknown in (failed(category="single-hop"), record(retrieval_s=None)):
        assert _collected([unknown])["engram"]["conv-1:q0"].values["latency_s"] is None


def test_a_memory_that_is_right_more_often_is_better_and_the_other_worse() -> None:
    good, bad = (np.random.default_rng(0).permutation([True] * n + [False] * (100 - n)) for n in (80, 40))
    pair = _pair(good, bad)
    assert pair.accuracy.mean == pytest.approx(0.4)
    assert (pair.only_first - pair.only_second, pair.accuracy.n) == (40, 100)
    assert pair.word == "better"
    assert _pair(bad, good).word == "worse"


def test_no_difference_is_reported_with_the_largest_possible_one() -> None:
    right = np.random.default_rng(1).random(2000) < 0.6
    other = right.copy()
    other[::100] = ~other[::100]
    pair = _pair(right, other)
    assert pair.accuracy.interval
    widest = 100 * max(map(abs, pair.accuracy.interval))
    assert pair.word.startswith("no difference larger than ")
    assert widest <= float(pair.word.rpartition(" ")[2]) < widest + 0.1 + 1e-9


def test_few_questions_cannot_tell_even_if_they_all_agree() -> None:
    assert _pair([True] * 8, [True] * 8).word == "cannot tell"
    assert _pair([True] * 4, [False] * 4).word == "cannot tell"  # p = 0.125
    assert _pair([True], [False]).accuracy.interval is not None


def test_errors_give_bounds_and_the_result_holds_for_both() -> None:
    first = [True] * 60 + [False] * 40
    second = [False] * 30 + [True] * 20 + [False] * 50
    sure = _pair(first, second)
    assert (sure.word, sure.bounds) == ("better", None)
    pair = _pair([None] * 50 + first[50:], second)
    assert pair.accuracy.n == 50
    assert pair.bounds
    assert list(pair.bounds) == pytest.approx([(10 - 20) / 100, (60 - 20) / 100])
    assert pair.word == "cannot tell"


def test_questions_are_paired_by_id_and_not_by_position() -> None:
    first = _outcomes([True, False] * 20)
    second = dict(reversed(first.items())) | {"other": next(iter(first.values()))}
    (pair,) = compare_pairs([("a", "b")], {"a": first, "b": second}, seed=0)
    assert (pair.only_first, pair.only_second, pair.accuracy.n) == (0, 0, 40)
    assert compare_pairs([("a", "b")], {"a": first, "b": {"other": second["other"]}}, seed=0) == []


def test_the_tests_of_many_pairs_are_adjusted() -> None:
    """8 : 0 alone has p = 0.008, below 0.05; among ten tests, of which nine find nothing, it is not significant."""
    base = [True] * 40 + [False] * 40
    better = [True] * 48 + [False] * 32
    outcomes_of = {"better": _outcomes(better), "base": _outcomes(base)} | {
        f"same{i}": _outcomes(base) for i in range(9)
    }
    alone = compare_pairs([("better", "base")], outcomes_of, seed=0)[0]
    among = compare_pairs([(name, "base") for name in outcomes_of if name != "base"], outcomes_of, seed=0)[0]
    assert alone.p == alone.p_holm == among.p == pytest.approx(2 / 2**8)
    assert among.p_holm == pytest.approx(10 * 2 / 2**8)
    assert among.word == "cannot tell"


def test_differences_in_tokens_time_and_cost_use_the_questions_for_which_they_are_known() -> None:
    first, second = _outcomes([True] * 20), _outcomes([True] * 20)
    second = {
        question: replace(
            outcome, values={**outcome.values, "context_tokens": 15_000, "latency_s": None, "cost_usd": 0.5}
        )
        for question, outcome in second.items()
    }
    (pair,) = compare_pairs([("a", "b")], {"a": first, "b": second}, seed=0)
    tokens, cost = pair.measures["context_tokens"], pair.measures["cost_usd"]
    assert tokens is not None
    assert cost is not None
    assert tokens.mean == pytest.approx(np.mean([900 + i % 7 for i in range(20)]) - 15_000)
    assert cost.interval
    assert list(cost.interval) == pytest.approx([-0.5, -0.5])
    assert pair.measures["latency_s"] is None


def test_intervals_of_few_conversations_are_marked_as_rough() -> None:
    assert difference([1.0, 0.0, 0.0, 1.0], "aabb", seed=0).rough
    assert not difference([1.0, 0.0, 0.0, 1.0, 0.0], "abcde", seed=0).rough
    pair = _pair([True, False] * 20, [True, True] * 20, conversations=1)
    assert pair.accuracy.rough
    assert "rough: with fewer than 5 conversations" in " ".join(note.text for note in pair_notes([pair]))
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
def test_without_a_difference_at_most_5_in_100_experiments_find_one(own: float) -> None:
    """400 experiments with ten conversations of 30 questions. If `own` > 0, a conversation favours one of the two, so
    questions are not independent and McNemar's test alone finds too much. At most 5 % plus three standard errors."""
    rng = np.random.default_rng(2)
    verdicts = 0
    for seed in range(400):
        level = rng.uniform(0.3, 0.8, (10, 30))
        favour = rng.normal(0, own, (10, 1))
        outcomes_of = {
            "a": _outcomes(_right(np.clip(level + favour, 0, 1), rng)),
            "b": _outcomes(_right(np.clip(level - favour, 0, 1), rng)),
        }
        (pair,) = compare_pairs([("a", "b")], outcomes_of, seed=seed, resamples=500)
        verdicts += pair.word in ("better", "worse")
    assert verdicts <= 400 * (0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5)


def test_the_interval_of_a_difference_in_accuracy_covers_the_truth() -> None:
    """300 experiments with a true difference of 0.1: covered in at least 95 % minus three standard errors."""
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(300):
        level = np.clip(rng.normal(0.5, 0.1, (10, 1)), 0.1, 0.9) + np.zeros((10, 30))
        outcomes_of = {"a": _outcomes(_right(level + 0.05, rng)), "b": _outcomes(_right(level - 0.05, rng))}
        (pair,) = compare_pairs([("a", "b")], outcomes_of, seed=seed, resamples=500)
        assert pair.accuracy.interval
        covered += pair.accuracy.interval[0] <= 0.1 <= pair.accuracy.interval[1]
    assert covered >= 300 * (0.95 - 3 * (0.05 * 0.95 / 300) ** 0.5)
