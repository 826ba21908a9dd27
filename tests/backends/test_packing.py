"""Hits are packed into the budget and rendered with dates, as the built-in memories render turns."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_eval import Hit, pack
from engram_eval.backends.packing import packed
from engram_eval.backends.transcript import Transcript
from engram_eval.cli.main import main
from engram_eval.language.tokens import token_counter
from engram_eval.results.folder import RunFolder
from engram_eval.types import Conversation, Item

_COUNT = token_counter().count
_MAY, _JULY = datetime(2023, 5, 8, 13, 56), datetime(2023, 7, 1)
_HITS = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.builds(
            Hit,
            st.text(max_size=80),
            st.lists(st.sampled_from(["D1:1", "D1:2", "D2:1"]), max_size=2).map(tuple),
            st.floats(-1, 1),
            st.sampled_from([None, _MAY, _JULY]),
        ),
    ),
    max_size=12,
)


def test_hits_are_rendered_in_time_order_below_their_date_and_undated_ones_first() -> None:
    hits: list[Hit | str] = [
        Hit("Ann: I moved.", ("D2:1",), 0.9, _JULY),
        "Ann likes tea.",
        Hit("Bob: Hi!", ("D1:1",), 0.5, _MAY),
    ]
    context = pack(hits, 100, _COUNT)
    assert context.text == "Ann likes tea.\n[8 May 2023]\nBob: Hi!\n[1 July 2023]\nAnn: I moved."
    assert context.items == (Item(("D2:1",), 0.9), Item((), 0.0), Item(("D1:1",), 0.5))
    assert not context.truncated


def test_hits_of_one_date_are_in_the_order_of_the_conversation() -> None:
    hits = [Hit("later", ("D1:10",), date=_MAY), Hit("earlier", ("D1:2",), date=_MAY)]
    assert pack(hits, None, _COUNT, turn_order=["D1:2", "D1:10"]).text == "[8 May 2023]\nearlier\nlater"


def test_turns_packed_as_hits_are_the_context_that_a_built_in_memory_makes(conversation: Conversation) -> None:
    transcript = Transcript(token_counter())
    hits = []
    for session in conversation.sessions:
        transcript.add(session)
        hits += [Hit(f"{t.speaker}: {t.text}", (t.id,), 1.0, session.started_at) for t in session.turns]
    order = [5, 0, 8, 2, 7, 1, 3, 6, 4]
    turn_order = [line.turn_id for line in transcript.lines]
    for budget in (None, 20, 60, 90, 300):
        context = pack([hits[i] for i in order], budget, _COUNT, turn_order=turn_order)
        assert context == transcript.context(order, [1.0] * 9, budget)


def test_a_hit_that_does_not_fit_is_skipped_and_its_turns_are_left_out() -> None:
    context = pack([Hit("word " * 50, ("D1:1",)), Hit("short", ("D1:2",))], 10, _COUNT)
    assert (context.text, context.left_out, context.truncated) == ("short", ("D1:1",), True)


def test_of_hits_that_are_all_too_long_the_beginning_of_the_best_is_taken() -> None:
    context = pack([Hit("word " * 50, ("D1:1",), 1.0, _MAY), Hit("other " * 50, ("D1:2",))], 20, _COUNT)
    assert context.text.startswith("[8 May 2023]\nword word")
    assert _COUNT(context.text) <= 20
    assert (context.turn_ids, context.left_out) == (("D1:1",), ("D1:2",))


def test_a_text_that_comes_twice_is_taken_once_with_the_turns_of_both() -> None:
    context = pack([Hit("Yes.", ("D1:1",), 0.9), Hit("Yes.", ("D1:7", "D1:1"), 0.8)], 100, _COUNT)
    assert (context.text, context.items) == ("Yes.", (Item(("D1:1", "D1:7"), 0.9),))


@given(hits=_HITS, budget=st.integers(0, 60))
def test_the_budget_is_kept_to_the_token_and_no_turn_is_lost_in_silence(hits: list[Hit | str], budget: int) -> None:
    context = pack(hits, budget, _COUNT)
    assert _COUNT(context.text) <= budget
    with_text = {turn for hit in hits if isinstance(hit, Hit) and hit.text.strip() for turn in hit.turn_ids}
    assert with_text == {*context.turn_ids, *context.left_out}
    assert context.truncated or not context.left_out


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (["fine", 3], "a list with int, which is neither a Hit nor a text"),
        ([Hit("text", "D1:1")], "no tuple of turn ids"),  # type: ignore[arg-type]
    ],
)
def test_a_list_of_other_things_is_refused(result: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        packed(result, 100, _COUNT)


def test_what_is_no_list_is_returned_as_it_is() -> None:
    assert packed("text", 100, _COUNT) == "text"


def test_a_memory_that_returns_hits_is_measured_like_one_that_returns_a_context(tmp_path: Path) -> None:
    command = ["run", "--dataset", "synthetic", "--set", "dataset.conversations=1", "--limit", "5", "--no-controls"]
    backends = ["--backend", "tests.doubles:NewestBackend", "--backend", "tests.doubles:NewestHitsBackend"]
    roles = ["--reader", "offline", "--judge", "offline"]
    assert main([*command, *backends, *roles, "--budget", "120", "--out", str(tmp_path / "run")]) == 0
    as_context, as_hits = (
        [r for r in RunFolder(tmp_path / "run").records() if r.backend == f"tests.doubles:{name}"]
        for name in ("NewestBackend", "NewestHitsBackend")
    )
    fields = ("question_id", "answer", "context", "context_tokens", "retrieved", "evidence_recall", "truncated", "cut")
    assert [[getattr(r, f) for f in fields] for r in as_context] == [[getattr(r, f) for f in fields] for r in as_hits]
    assert len(as_hits) == 5
