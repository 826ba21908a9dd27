"""Whether memories of different conversations share nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import Dialogue, first_dialogue, second_dialogue
from engram_eval.conformance.failed import Failed
from engram_eval.conformance.trial import Trial, TrialMemory

_SHARED = (
    "keep nothing in a class, a module or a server under a name that two memories share; "
    "use services.folder or the id of the conversation with a random part"
)


async def _isolated(trial: Trial) -> None:
    first, second = first_dialogue(), second_dialogue()
    async with trial.filled(first) as one, trial.filled(second) as other:
        await _require_own(one, first, second)
        await _require_own(other, second, first)


async def _at_once(trial: Trial) -> None:
    first, second = first_dialogue(), second_dialogue()
    async with trial.open(first.conversation.info) as one, trial.open(second.conversation.info) as other:
        await _both(one.fill(first), other.fill(second))
        await _both(_require_own(one, first, second), _require_own(other, second, first))


async def _both(*work: Coroutine[Any, Any, None]) -> None:
    """Waits for both, and then raises what the first that failed raised."""
    for error in await asyncio.gather(*work, return_exceptions=True):
        if error:
            raise error


async def _require_own(memory: TrialMemory, own: Dialogue, foreign: Dialogue) -> None:
    """Raises Failed if a memory knows something of the other's conversation, or no longer its own."""
    for dialogue in (foreign, own):
        context = await memory.retrieve(dialogue.needle.question)
        if foreign.needle.found_in(context):
            raise Failed(
                f"the memory of one conversation returns a turn of another, {foreign.needle.text!r}; {_SHARED}"
            )
        if unknown := [turn_id for turn_id in context.turn_ids if turn_id not in own.turns]:
            raise Failed(
                f"the memory of one conversation names turn {unknown[0]!r} of another, which is open too; {_SHARED}"
            )


async def _reopened(trial: Trial) -> None:
    dialogue = first_dialogue()
    async with trial.filled(dialogue) as memory:
        await memory.retrieve(dialogue.needle.question)
    async with trial.open(dialogue.conversation.info) as memory:
        context = await memory.retrieve(dialogue.needle.question, remark="in a new folder")
        if dialogue.needle.found_in(context) or context.items:
            raise Failed(
                "a new memory in a new folder knows what an earlier one of the same conversation was told; "
                f"begin empty: {_SHARED}"
            )


CHECKS = (
    Check("isolated", "Two memories that are open at a time do not know each other's conversation.", _isolated),
    Check("isolated-at-once", "Two memories that ingest and retrieve at the same time do not mix.", _at_once),
    Check("reopened", "A new memory of the same conversation, in a new folder, begins empty.", _reopened),
)
