"""Many answers to a judge, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from engram_eval.errors import UserError
from engram_eval.judges.judge import Judge
from engram_eval.system.pool import Pool
from engram_eval.types import Question, Verdict


async def grade(
    answers: Sequence[tuple[Judge, Question, str]], limit: int, tell: Callable[[], object] = lambda: None
) -> list[Verdict | Exception]:
    """For each answer the judge's verdict or what its call ended in, in their order; up to `limit` calls at a time.

    `tell` is called after each. A UserError stops the rest, and is raised.
    """
    graded: dict[int, Verdict | Exception] = {}

    async def one(place: int, judge: Judge, question: Question, answer: str) -> None:
        try:
            graded[place] = await judge.judge(question, answer)
        except UserError:
            raise
        except Exception as error:
            graded[place] = error
        tell()

    async with Pool(limit) as pool:
        for place, (judge, question, answer) in enumerate(answers):
            await pool.run(one(place, judge, question, answer))
            await asyncio.sleep(
                0
            )  # an offline judge never gives way, and a Ctrl-C is delivered only when something does
    return [graded[place] for place in range(len(answers))]
