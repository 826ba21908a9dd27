"""Whether `close` leaves anything behind."""

from __future__ import annotations

import asyncio
import os
import threading
import time

from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import first_dialogue
from engram_eval.conformance.failed import Failed
from engram_eval.conformance.processes import child_processes, end_processes
from engram_eval.conformance.trial import Trial

GRACE_S = 2.0
_OF_THE_EVENT_LOOP = "asyncio_"  # threads of `asyncio.to_thread`, which end with the run


async def _close(trial: Trial) -> None:
    processes, threads, tasks = child_processes(os.getpid()), _threads(), asyncio.all_tasks()
    dialogue = first_dialogue()
    async with trial.open(dialogue.conversation.info):
        pass  # a memory may be closed before it has ingested anything: after an error
    async with trial.filled(dialogue) as memory:
        await memory.retrieve(dialogue.needle.question)
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end and (
        child_processes(os.getpid()).keys() - processes or _threads() - threads or asyncio.all_tasks() - tasks
    ):
        await asyncio.sleep(0.05)
    left_processes = {pid: name for pid, name in child_processes(os.getpid()).items() if pid not in processes}
    end_processes(set(left_processes))
    if left_processes:
        pid, command = next(iter(left_processes.items()))
        raise Failed(
            f"process {pid} ({command[:80]}) still runs {GRACE_S:g} s after close(); end in close() what open() has started, "
            "and wait for it"
        )
    if left := _threads() - threads:
        raise Failed(
            f"thread {min(thread.name for thread in left)!r} still runs {GRACE_S:g} s after close() and keeps the program "
            "from ending; stop and join it in close(), or make it a daemon"
        )
    if left_tasks := asyncio.all_tasks() - tasks:
        names = min(getattr(task.get_coro(), "__qualname__", task.get_name()) for task in left_tasks)
        raise Failed(f"the task {names!r} still runs {GRACE_S:g} s after close(); cancel it in close() and await it")


def _threads() -> set[threading.Thread]:
    return {
        thread
        for thread in threading.enumerate()
        if not thread.daemon and not thread.name.startswith(_OF_THE_EVENT_LOOP)
    }


CHECKS = (Check("close", "After close(), no process, thread or task is left.", _close),)
