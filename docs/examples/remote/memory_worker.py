"""A memory in a process of its own: it finds turns by the words that they share with the question.

engram-eval run --dataset synthetic --limit 20 --backend worker:"python docs/examples/remote/memory_worker.py"
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from engram_eval_worker import serve  # type: ignore[import-not-found]  # the run's folder of it is on PYTHONPATH


class WordMemory:
    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.hits: list[dict[str, Any]] = []

    def ingest(self, session: Any) -> None:
        for turn in session.turns:
            text = f"{turn.speaker}: {turn.text}"
            self.hits.append({"text": text, "turn_ids": [turn.id], "date": session.started_at})

    def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> list[dict[str, Any]]:  # noqa: ARG002
        scored = [{**hit, "score": len(words(query) & words(hit["text"]))} for hit in self.hits]
        found = sorted(scored, key=lambda hit: -hit["score"])[: self.most]
        return [hit for hit in found if hit["score"]]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.lower()))


if __name__ == "__main__":
    serve(WordMemory, name="words")
