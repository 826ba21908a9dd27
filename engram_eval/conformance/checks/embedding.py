"""Whether a memory that loses its embeddings says so."""

from __future__ import annotations

from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import first_dialogue
from engram_eval.conformance.embedder import FAULTS, FaultyEmbedder
from engram_eval.conformance.failed import Failed, NotApplicable
from engram_eval.conformance.trial import Trial


async def _embedder_faults(trial: Trial) -> None:
    for what, fault in FAULTS.items():
        embedder = FaultyEmbedder(trial.embedder, fault)
        if not await _noticed(trial, embedder):
            raise Failed(
                f"while the memory ingested, services.embedder {what}, and the memory went on in silence without what it lost; "
                "check that there is one vector of the right length for each text, and raise an error or add a sentence to "
                "`warnings`"
            )


async def _noticed(trial: Trial, embedder: FaultyEmbedder) -> bool:
    """Whether the memory raises an error or has a warning. Raises NotApplicable if it does not embed while it ingests."""
    dialogue = first_dialogue()
    try:
        async with trial.open(dialogue.conversation.info, embedder=embedder) as memory:
            await memory.fill(dialogue)
            embedder.repaired = True
            if not embedder.calls:
                raise NotApplicable("the memory does not ask services.embedder while it ingests")
            await memory.retrieve(dialogue.needle.question)
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
