"""Whether a memory keeps to its folder and to this machine."""

from __future__ import annotations

from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import first_dialogue
from engram_eval.conformance.failed import Failed, NotApplicable
from engram_eval.conformance.files import FileWatch
from engram_eval.conformance.trial import Trial


async def _folder(trial: Trial) -> None:
    folder, dialogue, watch = trial.new_folder(), first_dialogue(), FileWatch()
    with watch.watching():
        async with trial.filled(dialogue, folder=folder) as memory:
            await memory.retrieve(dialogue.needle.question)
    if left := watch.left_outside(folder):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise Failed(
            f"the memory wrote {left[0]}{more}, outside its folder, and left it there; keep files in services.folder, which "
            "is new for each memory and deleted after the run"
        )


async def _offline(trial: Trial) -> None:
    if trial.network is None:
        raise NotApplicable("--online allows connections")
    dialogue = first_dialogue()
    try:
        async with trial.filled(dialogue) as memory:
            await memory.retrieve(dialogue.needle.question)
    finally:
        if trial.network.tried:
            raise Failed(
                f"the memory tried to reach {', '.join(trial.network.tried[:3])}; switch that off (telemetry, downloads, "
                "update checks), or try with --online if it cannot work without a network"
            )


CHECKS = (
    Check("folder", "All files that a memory leaves are in services.folder.", _folder),
    Check("offline", "A memory does not connect beyond this machine.", _offline),
)
