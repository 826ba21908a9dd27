"""The split budget: a share of 0 or 1 is one memory alone; in between, no turn appears twice and the budget holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engram_eval.backends.backend import Services
from engram_eval.backends.engram import EngramBackend
from engram_eval.datasets.synthetic.dataset import SYNTHETIC
from engram_eval.embedders.static import StaticEmbedder
from engram_eval.language.tokens import token_counter
from engram_eval.registry import open_backend
from engram_eval.system.event_loop import awaited
from engram_eval.types import Context, Conversation, Sample


@pytest.fixture(scope="module")
def sample() -> Sample:
    (sample,) = SYNTHETIC.open(None, {"conversations": "1", "turns": "200"}).samples()
    return sample


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Services:
    return Services(StaticEmbedder(), token_counter(), tmp_path_factory.mktemp("state"))


async def _opened(label: str, overrides: dict[str, str], conversation: Conversation, services: Services) -> Any:
    memory = await open_backend(label, overrides).open(conversation.info, services)
    for session in conversation.sessions:
        await awaited(memory.ingest(session))
    return memory


def _retrieved(
    label: str, overrides: dict[str, str], sample: Sample, state: Services, budgets: Sequence[int]
) -> Iterator[tuple[str, int, Context]]:
    async def retrieve_all() -> list[tuple[str, int, Context]]:
        folder: Path = state.folder / "-".join([label, *overrides.values()])
        folder.mkdir(exist_ok=True)
        memory = await _opened(label, overrides, sample.conversation, replace(state, folder=folder))
        contexts = [
            (question.text, budget, await awaited(memory.retrieve(question.text, asked_at=None, budget=budget)))
            for question in sample.questions[:12]
            for budget in budgets
        ]
        await awaited(memory.close())
        return contexts

    yield from asyncio.run(retrieve_all())


_BUDGETS = (0, 1, 30, 150, 916)


@pytest.mark.parametrize(("share", "alone"), [("0", "engram"), ("1", "conditional")])
def test_a_share_of_0_or_1_is_one_memory_alone(share: str, alone: str, sample: Sample, state: Services) -> None:
    split = list(_retrieved("split-budget", {"share": share}, sample, state, _BUDGETS))
    assert split == list(_retrieved(alone, {}, sample, state, _BUDGETS))
    assert any(context.text for _, _, context in split)


@pytest.mark.parametrize("share", ["0.1", "0.5", "0.9", "0.999"])
def test_between_0_and_1_both_memories_have_their_part(share: str, sample: Sample, state: Services) -> None:
    tokens = state.tokens
    conditional = dict[tuple[str, int], Context]()
    for query, budget, context in _retrieved(
        "conditional", {}, sample, state, [round(float(share) * budget) for budget in _BUDGETS]
    ):
        conditional[query, budget] = context
    both = 0
    for query, budget, context in _retrieved("split-budget", {"share": share}, sample, state, _BUDGETS):
        assert tokens.count(context.text) <= budget
        first = conditional[query, round(float(share) * budget)]
        assert context.text.startswith(first.text)
        rest = context.text.removeprefix(first.text)
        by_conditional = {item.turn_ids for item in first.items}
        by_engram = [item for item in context.items if item.turn_ids not in by_conditional]
        distinct = {item.turn_ids for item in context.items}
        assert len(by_conditional) + len(by_engram) == len(context.items) == len(distinct)
        assert bool(rest) == bool(by_engram)
        assert not first.text or not rest or rest.startswith("\n[")
        included = {turn_id for item in context.items for turn_id in item.turn_ids}
        assert included.isdisjoint(context.left_out)
        assert len(context.left_out) == len(set(context.left_out))
        scores = [item.score for item in context.items]
        assert scores == sorted(scores, reverse=True)
        both += bool(by_conditional) and bool(by_engram)
    assert both >= 10 or share == "0.999"


def test_the_two_rankings_are_interleaved_starting_with_conditionals(sample: Sample, state: Services) -> None:
    by_conditional = {q: c for q, _, c in _retrieved("conditional", {}, sample, state, [200])}
    for query, _, context in _retrieved("split-budget", {"share": "0.5"}, sample, state, [400]):
        first = [item.turn_ids for item in by_conditional[query].items]
        interleaved = [item.turn_ids for item in context.items]
        second = [ids for ids in interleaved if ids not in first]
        assert [ids for ids in interleaved if ids in first] == first
        shorter = min(len(first), len(second))
        assert interleaved[: 2 * shorter : 2] == first[:shorter]
        assert interleaved[1 : 2 * shorter : 2] == second[:shorter]


def test_engram_skips_excluded_turns_and_takes_the_next(sample: Sample, state: Services) -> None:
    async def run() -> None:
        folder = state.folder / "excluded"
        folder.mkdir()
        memory = await EngramBackend(k=1000, total=1000).open(sample.conversation.info, replace(state, folder=folder))
        for session in sample.conversation.sessions:
            await memory.ingest(session)
        for question in sample.questions[:12]:
            whole = await memory.retrieve(question.text, asked_at=None, budget=None)
            assert whole == await memory.retrieve(question.text, asked_at=None, budget=None, exclude=["no such turn"])
            best = [turn_id for item in whole.items[:5] for turn_id in item.turn_ids]
            rest = await memory.retrieve(question.text, asked_at=None, budget=None, exclude=best)
            assert rest.items == whole.items[5:]
        everything = {turn.id for session in sample.conversation.sessions for turn in session.turns}
        assert await memory.retrieve("Anything?", asked_at=None, budget=None, exclude=everything) == Context("")
        await memory.close()

    asyncio.run(run())


def test_each_memory_has_its_own_folder_and_an_impossible_share_is_refused(sample: Sample, state: Services) -> None:
    folder = state.folder / "apart"
    folder.mkdir()

    async def fill() -> None:
        memory = await _opened("split-budget", {}, sample.conversation, replace(state, folder=folder))
        everything = await awaited(memory.retrieve(sample.questions[0].text, asked_at=None, budget=None))
        await awaited(memory.close())
        assert everything.text

    asyncio.run(fill())
    assert sorted(path.name for path in folder.iterdir()) == ["conditional", "engram"]
    assert (folder / "engram" / "engram.sqlite").is_file()
    for share in ("-0.1", "1.1", "nan"):
        with pytest.raises(Exception, match="share must be from 0 to 1"):
            open_backend("split-budget", {"share": share})
