"""Memory backends: what is measured. One file or folder each; the registry names them.

A backend opens one isolated memory per conversation, ingests its sessions in time order and recalls a context for a
question. It never sees gold answers, evidence, categories, or any question before it is asked: the types make it
impossible. The one exception is the `oracle` control, which the runner shows the evidence (`BackendInfo.sees_evidence`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from engram_eval.embedders.embedder import Embedder
from engram_eval.language.tokens import TokenCounter
from engram_eval.llm.cost.metering import ChatModel
from engram_eval.types import Context, ConversationInfo, Session

Limit = Literal["budget", "window", "none"]
"""What bounds a context: the token budget that all memories share, the reader's window, or nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """What is shared between memories and accounted for."""

    embedder: Embedder
    tokens: TokenCounter
    folder: Path
    """A folder of this memory's own to keep state in; it exists."""
    llm: ChatModel | None = None
    """A model, for backends that say `asks_model`; None for others."""


class Memory(Protocol):
    """The memory of one conversation."""

    async def ingest(self, session: Session) -> None:
        """Takes a session in. Called once a session, in time order; a session that is already held is left as it is."""
        ...

    async def ready(self) -> None:
        """Returns when all that was ingested can be recalled; its time counts as ingest time. Optional."""
        ...

    async def retrieve(self, query: str, *, asked_at: datetime | None, budget: int | None) -> Context:
        """What is remembered that helps to answer `query`, in at most `budget` tokens of the services' counter."""
        ...

    def turn_ids(self) -> Collection[str]:
        """The turns that it holds, in whatever form. Optional; without it, it is taken to hold all."""
        ...

    async def close(self) -> None: ...


class MemoryBackend(Protocol):
    """Opens memories. Its settings are the fields of its dataclass, its `BackendInfo` its class's attributes."""

    async def open(self, conversation: ConversationInfo, services: Services) -> Memory: ...


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What a reader of the table must know of a backend. Each is a class attribute of the backend; all are optional."""

    context_limit: Limit = "budget"
    control: bool = False
    """Not a memory to choose, but one to read the others against: never marked as best."""
    sees_evidence: bool = False
    """Its memories have `show_evidence(turn_ids)`, and the runner shows them the evidence before each recall."""
    paraphrases: bool = False
    """Turns are not kept verbatim: evidence is found by the sources that an item names, and the table says so."""
    asks_model: bool = False
    """Its memories ask `services.llm`."""


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that a memory will make when it ingests a session, for an estimate of what a run takes.

    A backend may have `expected_calls(session, count_tokens)`, an iterable of these: of router and extractor, and of the
    embedder (`messages` are then the texts), which counts where that is a model at an endpoint.
    """

    role: str
    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any] | None
    completion_tokens: float


def expected_embedding(session: Session) -> ExpectedCall:
    """That of all turns of a session."""
    return ExpectedCall("embedder", [{"content": f"{turn.speaker}: {turn.text}"} for turn in session.turns], None, 0)


def backend_info(backend: MemoryBackend) -> BackendInfo:
    return replace(
        BackendInfo(), **{f.name: getattr(backend, f.name) for f in fields(BackendInfo) if hasattr(backend, f.name)}
    )
