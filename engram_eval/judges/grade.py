"""Grades many answers, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from engram_eval.errors import UserError
from engram_eval.judges.judge import Judge
from engram_eval.system.event_loop import awaited
from engram_eval.system.pool import Pool
from engram_eval.types import Question, Verdict


async def grade(
    answers: Sequence[tuple[Judge, Question, str]], limit: int, on_verdict: Callable[[], object] = lambda: None
) -> list[Verdict | Exception]:
    """For each answer, in order, the judge's verdict or the exception of the failed call. Makes up to `limit` calls at a time.

    Calls `on_verdict` after each answer. A UserError stops the rest and is raised.
    """
    graded: dict[int, Verdict | Exception] = {}

    async def grade_one(index: int, judge: Judge, question: Question, answer: str) -> None:
        try:
            graded[index] = await awaited(judge.judge(question, answer))
        except UserError:
            raise
        except Exception as error:
            graded[index] = error
        on_verdict()

    async with Pool(limit) as pool:
        for index, (judge, question, answer) in enumerate(answers):
            await pool.run(grade_one(index, judge, question, answer))
            # The offline judge never awaits anything: without a pause, Ctrl-C would not be delivered.
            await asyncio.sleep(0)
    return [graded[index] for index in range(len(answers))]
