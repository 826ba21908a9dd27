"""tests.doubles.NewestHitsBackend as a worker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engram_eval_worker import serve  # type: ignore[import-not-found]


class Newest:
    def __init__(self, conversation: Any, folder: str, speaker: str = "", k: int = 0, loud: bool = False) -> None:
        print("This goes to stderr.")
        self.hits: list[dict[str, Any]] = []
        self.folder, self.conversation = folder, conversation
        self.settings = f"{speaker} {k} {loud}"

    async def ingest(self, session: Any) -> None:
        for turn in session.turns:
            text = f"{turn.speaker}: {turn.text}"
            hit = {"text": text, "turn_ids": (turn.id,), "score": len(self.hits), "date": session.started_at}
            self.hits.append(hit)

    def ready(self) -> None: ...

    def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Any:
        if query.startswith("tell me"):
            return f"{self.settings} {self.conversation.speakers} {asked_at} {budget} {len(self.hits)}"
        return self.hits[::-1]


if __name__ == "__main__":
    serve(Newest, name="newest", version="1.2")
