"""What a memory backend is. To write your own, implement the two protocols below; docs/backends.md has a full example.

    class MyBackend:                                   # the backend: named on the command line, made once per run
        def open(self, conversation, services):        # called once per conversation
            return MyMemory(services)

    class MyMemory:                                    # the memory of one conversation
        def ingest(self, session): ...                 # called once per session, in time order
        def retrieve(self, query, *, asked_at, budget): ...  # called once per question, returns hits or a Context
        def close(self): ...

Each method may have `async` or not. Those without it run in one thread that each memory has for itself, so they may block.

A run calls the methods of a memory one after the other, and measures the time of each. It opens and fills one memory after the
other, but those that ask the run's model (`asks_model`) ahead of their turn, several at a time. An exception from
`open`, `ingest` or `ready` is recorded as an error of every question about the conversation; an exception from `retrieve`,
as an error of that question. The run then continues. A `UserError` stops the run.

No memory sees gold answers, evidence, categories, or a question before it is asked: the types do not carry them. The one
exception is the `oracle` control, which is shown the evidence (`BackendInfo.sees_evidence`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from engram_eval.embedders.embedder import Embedder, Vectors
from engram_eval.language.tokens import TokenCounter
from engram_eval.llm.cost.metering import ChatModel
from engram_eval.types import Context, ConversationInfo, Hit, Session

Retrieval = Context | Sequence[Hit | str]
"""What `retrieve` returns."""
ContextLimit = Literal["budget", "window", "none"]
"""What limits a context: the token budget that all memories share, the reader's context window, or nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the run provides to each memory. Time and cost of the embedder and the model count as the memory's own."""

    embedder: Embedder
    """`await embedder.embed(texts)` gives unit vectors, a float32 array of shape (len(texts), embedder.dimensions)."""
    tokens: TokenCounter
    """`tokens.count(text)` counts tokens as the budget does; `tokens.cut(text, limit)` shortens a text to a limit."""
    folder: Path
    """A folder for this memory's files. It exists, and a run gives each memory an empty one."""
    llm: ChatModel | None = None
    """`await llm.chat(role=..., messages=...)` asks the run's model. None unless the backend sets `asks_model = True`."""
    loop: asyncio.AbstractEventLoop | None = None
    """The run's event loop, to which `embed` hands its work."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Like `await embedder.embed(texts)`, from code without `async` and from any thread.

        Raises RuntimeError in an async method if the embedder is a model at an endpoint: there, await `embedder.embed`.
        """
        work = self.embedder.embed(texts)
        if self.loop is None or _is_running_here(self.loop):
            return _without_waiting(work)
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _without_waiting(work: Coroutine[Any, Any, Vectors]) -> Vectors:
    """The result of a coroutine that computes and waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        vectors: Vectors = end.value
        return vectors
    work.close()
    raise RuntimeError(
        "services.embed cannot wait for an endpoint in an async method; use: await services.embedder.embed(texts)"
    )


class MemoryBackend(Protocol):
    """Opens one memory per conversation.

    The settings of a backend are the fields of its dataclass, or the parameters of its `__init__`. Annotate them as `int`,
    `float`, `bool`, `str` or a `Literal`: `--set NAME.KEY=VALUE` converts to that type. Each setting needs a default. To
    refuse a value, raise `ValueError` with one sentence.

    Optional class attributes: all fields of `BackendInfo`; `presets`, a dict from a preset's name to its settings
    (`--backend NAME:PRESET`); `setting_notes`, a dict from a setting's name to a remark that `engram-eval backends` prints;
    `prompts`, the `Prompt`s that its memories send, which the manifest records; `published_embedder`, which the plan names if
    the run has another.
    Optional methods, for the cost estimate: `expected_calls` (see `ExpectedCall`), and `expected_context_tokens(budget)`, the
    mean length of its contexts where it does not fill the budget.
    """

    def open(self, conversation: ConversationInfo, services: Services) -> Memory | Awaitable[Memory]:
        """Returns an empty memory for one conversation. Memories share nothing with each other but the services."""
        ...


class Memory(Protocol):
    """The memory of one conversation. `OptionalMemoryMethods` lists what a memory may have in addition.

    Methods without `async` run in one thread that the memory has for itself; each method may be written either way.
    """

    def ingest(self, session: Session) -> Awaitable[None] | None:
        """Stores a session. Called once per session, in time order, before the first question.

        `session.turns` has each turn's `id`, `speaker` and `text`; `session.started_at` is None if the date is unknown.
        """
        ...

    def retrieve(
        self, query: str, *, asked_at: datetime | None, budget: int | None
    ) -> Retrieval | Awaitable[Retrieval]:
        """Returns the context from which the reader answers `query`; or hits, best first, as a list of `Hit`s and texts.


        The run packs hits into the budget and renders them with their dates (`packing.pack`).
        `asked_at` is the date on which the question is asked, if the benchmark gives one. `budget` is the limit in tokens
        of `services.tokens`, or None for no limit; the run cuts off the end of a longer text. `Context.items` lists, best
        first, what the text holds: each item names its source turns by id, so that retrieval can be measured against the
        evidence. Set `truncated` if something did not fit, and name its turns in `left_out`.
        """
        ...

    def close(self) -> Awaitable[None] | None:
        """Releases files and connections. Called once, also after an error."""
        ...


class OptionalMemoryMethods(Protocol):
    """Methods that a run calls, and an attribute that it reads, if a memory has them. Each is optional by itself."""

    warnings: Sequence[str]
    """What went wrong while ingesting without stopping it, one sentence each. The run reports them in warnings.jsonl."""

    def ready(self) -> Awaitable[None] | None:
        """Returns when everything ingested can be retrieved. Called once after the last session; counts as ingest time."""
        ...

    def turn_ids(self) -> Collection[str]:
        """The ids of the turns that the memory holds in any form. Without it, the run assumes that it holds all turns.

        With it, a wrong answer can be traced to evidence that was never stored.
        """
        ...

    def show_evidence(self, turn_ids: tuple[str, ...]) -> None:
        """Receives the evidence of the next question. Called only if the backend sets `sees_evidence = True`."""
        ...


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What a table's reader must know about a backend. Each field is an optional class attribute of the backend."""

    context_limit: ContextLimit = "budget"
    control: bool = False
    """A control is a reference point, not a memory to choose: tables never mark its values as best."""
    sees_evidence: bool = False
    """Its memories have `show_evidence`, and the run calls it before each `retrieve`."""
    paraphrases: bool = False
    """Its contexts do not contain turns verbatim. A turn that an item names then counts as retrieved if one passage of the
    text has a fifth of its words (`metrics/named_turns.py`); for other memories the text must have four fifths of them."""
    asks_model: bool = False
    """Its memories call `services.llm`."""


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """One model call that ingesting a session will make. The plan and `--dry-run` estimate the cost of a run from these.

    A backend may have the method `expected_calls(session, count_tokens)`, which returns an iterable of them. `role` is
    `router`, `extractor` or `embedder`. For the embedder, `messages` are the texts to embed; they cost something only if
    the embedder is a model at an endpoint.
    """

    role: str
    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any] | None
    """The JSON schema of the answer, which is part of the prompt; None for free text."""
    completion_tokens: float
    max_tokens: int = 0
    """The most tokens that the call allows; 0 if unknown."""


def expected_embedding(session: Session) -> ExpectedCall:
    """The call that embeds every turn of a session."""
    return ExpectedCall("embedder", [{"content": f"{turn.speaker}: {turn.text}"} for turn in session.turns], None, 0)


def backend_info(backend: MemoryBackend) -> BackendInfo:
    """The backend's class attributes, with defaults for those that it does not have."""
    return replace(
        BackendInfo(), **{f.name: getattr(backend, f.name) for f in fields(BackendInfo) if hasattr(backend, f.name)}
    )
