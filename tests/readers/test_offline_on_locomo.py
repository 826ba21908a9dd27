"""The offline reader on real conversations, graded by the offline judge: a better context gives more right answers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from engram_eval.backends.transcript import date_header
from engram_eval.datasets.locomo import LOCOMO
from engram_eval.judges.offline.judge import OfflineJudge
from engram_eval.readers.offline.reader import read
from engram_eval.types import Conversation, Sample


def _render(conversation: Conversation, keep: frozenset[str] | None = None) -> str:
    def lines() -> Iterator[str]:
        for session in conversation.sessions:
            turns = [turn for turn in session.turns if keep is None or turn.id in keep]
            if turns:
                yield date_header(session.started_at)
                yield from (f"{turn.speaker}: {turn.text}" for turn in turns)

    return "\n".join(lines())


def _measure(samples: list[Sample], kind: str) -> dict[str, float]:
    """Accuracy by category, and under "answered" that of all answerable questions."""
    judge = OfflineJudge()
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for sample in samples:
        full = _render(sample.conversation)
        for question in sample.questions:
            context = {"full": full, "none": ""}.get(kind)
            if context is None:
                context = _render(sample.conversation, frozenset(question.evidence))
            correct = asyncio.run(judge.judge(question, read(question.text, context))).correct
            right[question.category].append(correct)
            if not question.unanswerable:
                right["answered"].append(correct)
    return {category: mean(shares) for category, shares in right.items()}


def test_oracle_beats_full_history_beats_nothing(real_data: Path) -> None:
    samples = list(LOCOMO.open(real_data / "locomo5_dev.json", {}).samples())
    oracle, full, none = (_measure(samples, kind) for kind in ("oracle", "full", "none"))
    assert oracle["answered"] >= 0.73
    assert oracle["temporal"] >= 0.88
    assert oracle["adversarial"] >= 0.55
    assert 0.46 <= full["answered"] <= oracle["answered"] - 0.10
    assert full["adversarial"] >= 0.45
    assert (none["answered"], none["adversarial"]) == (0.0, 1.0)
