"""Whether a memory that loses its embeddings says so."""

from __future__ import annotations

from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import first_dialogue
from engram_eval.conformance.embedder import FAULTS, Fault, FaultyEmbedder, lose_a_dimension
from engram_eval.conformance.failed import Failed, NotApplicable
from engram_eval.conformance.trial import Trial


async def _embedder_faults(trial: Trial) -> None:
    for what, fault in FAULTS.items():
        if not await _noticed(trial, fault):
            raise Failed(
                f"for the turns, services.embedder {what}, and the memory went on in silence without what it lost; "
                "check that there is one vector of the right length for each text, and raise an error or add a sentence to "
                "`warnings`"
            )


async def _noticed(trial: Trial, fault: Fault) -> bool:
    """Whether the memory raises an error or has a warning. Raises NotApplicable if it does not embed its turns."""
    dialogue, embedder = first_dialogue(), FaultyEmbedder(trial.embedder, fault)
    try:
        async with trial.open(dialogue.conversation.info, embedder=embedder) as memory:
            await memory.fill(dialogue)
            if not embedder.calls and fault is lose_a_dimension:
                return True  # turns and question are embedded together: all are equally short, and nothing is lost
            embedder.least = None if embedder.calls else 2  # a memory may embed its turns only with the first question
            await memory.retrieve(dialogue.needle.question)
            if not embedder.calls:
                raise NotApplicable("the memory does not embed its turns with services.embedder")
            return bool(list(getattr(memory.memory, "warnings", ())))
    except Failed:
        if embedder.calls:
            return True
        raise


CHECKS = (
    Check(
        "embedder-faults",
        "If the embedder fails, or returns too few or too short vectors, the memory raises an error or warns.",
        _embedder_faults,
    ),
)
