"""The budget shared between two memories: at its ends these alone, between them no turn twice and no token too many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from engram_eval.backends.backend import Memory, Services
from engram_eval.backends.engram import EngramBackend
from engram_eval.datasets.synthetic.dataset import SYNTHETIC
from engram_eval.embedders.static import StaticEmbedder
from engram_eval.language.tokens import token_counter
from engram_eval.registry import open_backend
from engram_eval.types import Context, Conversation, Sample


@pytest.fixture(scope="module")
def sample() -> Sample:
    (made,) = SYNTHETIC.open(None, {"conversations": "1", "turns": "200"}).samples()
    return made


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Services:
    return Services(StaticEmbedder(), token_counter(), tmp_path_factory.mktemp("state"))


async def _opened(label: str, overrides: dict[str, str], conversation: Conversation, services: Services) -> Memory:
    memory: Memory = await open_backend(label, overrides).open(conversation.info, services)
    for session in conversation.sessions:
        await memory.ingest(session)
    await memory.ready()
    return memory


def _recalled(
    label: str, overrides: dict[str, str], sample: Sample, state: Services, budgets: Sequence[int]
) -> Iterator[tuple[str, int, Context]]:
    async def ask() -> list[tuple[str, int, Context]]:
        folder: Path = state.folder / "-".join([label, *overrides.values()])
        folder.mkdir(exist_ok=True)
        memory = await _opened(label, overrides, sample.conversation, replace(state, folder=folder))
        found = [
            (question.text, budget, await memory.retrieve(question.text, asked_at=None, budget=budget))
            for question in sample.questions[:25]
            for budget in budgets
        ]
        await memory.close()
        return found

    yield from asyncio.run(ask())


_BUDGETS = (0, 1, 30, 150, 916)


@pytest.mark.parametrize(("share", "alone"), [("0", "engram"), ("1", "conditional")])
def test_at_its_ends_it_is_one_of_the_two(share: str, alone: str, sample: Sample, state: Services) -> None:
    mine = list(_recalled("split-budget", {"share": share}, sample, state, _BUDGETS))
    assert mine == list(_recalled(alone, {}, sample, state, _BUDGETS))
    assert any(context.text for _, _, context in mine)


@pytest.mark.parametrize("share", ["0.1", "0.5", "0.9", "0.999"])
def test_between_them_both_have_their_part(share: str, sample: Sample, state: Services) -> None:
    tokens = state.tokens
    conditional = dict[tuple[str, int], Context]()
    for query, budget, context in _recalled(
        "conditional", {}, sample, state, [round(float(share) * budget) for budget in _BUDGETS]
    ):
        conditional[query, budget] = context
    both = 0
    for query, budget, context in _recalled("split-budget", {"share": share}, sample, state, _BUDGETS):
        assert tokens.count(context.text) <= budget
        first = conditional[query, round(float(share) * budget)]
        assert context.text.startswith(first.text)
        rest = context.text.removeprefix(first.text)
        theirs = {item.turn_ids for item in first.items}
        ours = [item for item in context.items if item.turn_ids not in theirs]
        assert len(theirs) + len(ours) == len(context.items) == len({item.turn_ids for item in context.items})
        assert bool(rest) == bool(ours)
        assert not first.text or not rest or rest.startswith("\n# ")
        standing = {turn_id for item in context.items for turn_id in item.turn_ids}
        assert standing.isdisjoint(context.left_out)
        assert len(context.left_out) == len(set(context.left_out))
        scores = [item.score for item in context.items]
        assert scores == sorted(scores, reverse=True)
        both += bool(theirs) and bool(ours)
    assert both >= 20 or share == "0.999"


def test_the_rankings_are_interleaved_by_rank_the_look_ups_first(sample: Sample, state: Services) -> None:
    of_half = {q: c for q, _, c in _recalled("conditional", {}, sample, state, [200])}
    for query, _, context in _recalled("split-budget", {"share": "0.5"}, sample, state, [400]):
        first = [item.turn_ids for item in of_half[query].items]
        mixed = [item.turn_ids for item in context.items]
        second = [ids for ids in mixed if ids not in first]
        assert [ids for ids in mixed if ids in first] == first
        shorter = min(len(first), len(second))
        assert mixed[: 2 * shorter : 2] == first[:shorter]
        assert mixed[1 : 2 * shorter : 2] == second[:shorter]


def test_without_turns_engram_takes_the_next_and_nothing_else_changes(sample: Sample, state: Services) -> None:
    async def ask() -> None:
        folder = state.folder / "without"
        folder.mkdir()
        memory = await EngramBackend(k=1000, total=1000).open(sample.conversation.info, replace(state, folder=folder))
        for session in sample.conversation.sessions:
            await memory.ingest(session)
        for question in sample.questions[:25]:
            whole = await memory.retrieve(question.text, asked_at=None, budget=None)
            assert whole == await memory.retrieve(question.text, asked_at=None, budget=None, without=["no such turn"])
            stands = [turn_id for item in whole.items[:5] for turn_id in item.turn_ids]
            rest = await memory.retrieve(question.text, asked_at=None, budget=None, without=stands)
            assert rest.items == whole.items[5:]
        everything = {turn.id for session in sample.conversation.sessions for turn in session.turns}
        assert await memory.retrieve("Anything?", asked_at=None, budget=None, without=everything) == Context("")
        await memory.close()

    asyncio.run(ask())


def test_each_keeps_its_state_apart_and_a_share_out_of_range_is_refused(sample: Sample, state: Services) -> None:
    folder = state.folder / "apart"
    folder.mkdir()

    async def fill() -> None:
        memory = await _opened("split-budget", {}, sample.conversation, replace(state, folder=folder))
        everything = await memory.retrieve(sample.questions[0].text, asked_at=None, budget=None)
        await memory.close()
        assert everything.text

    asyncio.run(fill())
    assert sorted(path.name for path in folder.iterdir()) == ["conditional", "engram"]
    assert (folder / "engram" / "engram.sqlite").is_file()
    for share in ("-0.1", "1.1", "nan"):
        with pytest.raises(Exception, match="share must be from 0 to 1"):
            open_backend("split-budget", {"share": share})
