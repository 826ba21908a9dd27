"""The readings of an answer: as it stands, without what it denies, and each of its alternatives. All of them must be right."""

from __future__ import annotations

from engram_eval.judges.offline.cleaning import MAX_CHARACTERS
from engram_eval.judges.offline.commitment import alternatives, without_denials
from engram_eval.judges.offline.features import names_gold


def readings(question: str, gold: str, answer: str) -> list[str]:
    """The answer itself, then the other readings, if there are any."""
    answer = answer[:MAX_CHARACTERS].replace("’", "'")
    asserted = without_denials(answer, gold, lambda clause: names_gold(question, gold, clause))
    return [answer, *([asserted] if asserted != answer else []), *alternatives(asserted, gold)]
