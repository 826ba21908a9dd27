"""The messages between a run and a memory elsewhere, as JSON: what a run sends, and what it takes for an answer.

| message    | sent                                 | reply       |
|------------|--------------------------------------|-------------|
| `info`     | once, before the run                 | `Info`      |
| `open`     | once per conversation                | `Done`      |
| `ingest`   | once per session, in time order      | `Done`      |
| `ready`    | after the last session, until it is  | `Readiness` |
| `retrieve` | once per question                    | `Retrieved` |
| `close`    | once per conversation                | `Done`      |

A worker (`worker`) gets them as lines on stdin, a server (`http`) as requests. Fields that are not known are ignored on both
sides, so that either may have newer ones. docs/memory-api.openapi.json is generated from this page.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from engram_eval.backends.backend import ContextLimit
from engram_eval.registry import SettingValue
from engram_eval.system.validation import describe_fault
from engram_eval.types import Context, ConversationInfo, Hit, Item, Session

PROTOCOL = 1
"""The version of the messages. Raise it when a memory that was written for the old ones would misread the new ones."""
LONGEST_REPLY = 16 * 1024 * 1024
"""Bytes of a reply. A longer one is an error, so that no memory can fill that of the run."""
_SHOWN = 200  # characters of somebody else's text in a message


class RemoteError(Exception):
    """A memory elsewhere failed, in one sentence. It costs the questions that need the answer, and no other."""


def _of_this_version(protocol: int) -> int:
    if protocol != PROTOCOL:
        raise ValueError(f"and this version of engram_eval speaks {PROTOCOL}")
    return protocol


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", protected_namespaces=())


class Request(_Message):
    name: ClassVar[str]
    repeatable: ClassVar[bool] = False
    """Whether a memory that gets it twice is the same as one that gets it once."""


class InfoRequest(Request):
    """Asks what the memory is. Nothing is open yet."""

    name = "info"


class OpenRequest(Request):
    """Opens an empty memory for one conversation.

    `settings`: what the user set, by name. A value of `--set LABEL.KEY=VALUE` is text. `folder`: for a worker, the absolute
    path of an empty folder for the memory's files, which is deleted after the run; null for a server.
    """

    name = "open"
    protocol: int = PROTOCOL
    conversation: ConversationInfo
    settings: dict[str, SettingValue] = Field(default_factory=dict)
    folder: str | None = None


class IngestRequest(Request):
    """Stores a session. Sessions come in time order. `started_at` is null if the date is not known."""

    name = "ingest"
    session: Session


class ReadyRequest(Request):
    """Asks whether all that was ingested can be retrieved. The run asks after the last session, until the answer is yes."""

    name = "ready"
    repeatable = True


class RetrieveRequest(Request):
    """Asks for what is needed to answer a question.

    `asked_at`: the date on which the question is asked, null if the benchmark has none. `budget`: the tokens that the
    context may have, null for no limit. The run packs hits into it, and cuts off the end of a longer context.
    """

    name = "retrieve"
    repeatable = True
    query: str
    asked_at: str | None
    budget: int | None


class CloseRequest(Request):
    """Closes the memory and removes what it holds. A worker should exit after its reply."""

    name = "close"
    repeatable = True


class Info(_Message):
    """What a memory says of itself.

    `protocol`: the version of the messages that it speaks. `name`: what the tables call it. `version`: of what is measured.
    `context_limit`: what limits its contexts: the token `budget`, as for all memories that are compared; the reader's `window`;
    or nothing (`none`). `paraphrases`: its texts do not contain turns verbatim. `settings`: the settings that it has, with
    their defaults; null if it takes any.
    """

    protocol: Annotated[int, AfterValidator(_of_this_version)]
    name: str | None = None
    version: str | None = None
    context_limit: ContextLimit = "budget"
    paraphrases: bool = False
    settings: dict[str, JsonValue] | None = None


class Done(_Message):
    """It is done. `warnings`: what went wrong without stopping it, one sentence each."""

    warnings: tuple[str, ...] = ()


class Readiness(_Message):
    """Whether all that was ingested can be retrieved. `warnings`: as of `Done`."""

    ready: bool = True
    warnings: tuple[str, ...] = ()


def _date(value: object) -> object:
    """A date, with or without a time, in ISO's form. JSON has no dates of its own."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("not a date such as 2023-05-08 or 2023-05-08T13:56:00") from None


class FoundHit(_Message):
    """A passage. `text` is what the reader sees, with the speaker if it matters; `turn_ids` are the turns that it comes from.

    A higher `score` is better. `date`: when it was said, or when it happened, as the memory has it.
    """

    text: str
    turn_ids: tuple[str, ...] = ()
    score: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    date: Annotated[datetime | None, BeforeValidator(_date)] = None


class FoundItem(_Message):
    """What a context holds: the turns that it comes from, how well it matched, and its memory type, if any."""

    turn_ids: tuple[str, ...]
    score: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    type: str | None = None


class FoundContext(_Message):
    """A text for the reader, and the items in it, best first. `truncated`, `left_out`: of what did not fit, the turns."""

    text: str
    items: tuple[FoundItem, ...] = ()
    truncated: bool = False
    left_out: tuple[str, ...] = ()


class Retrieved(_Message):
    """What was found: either `hits`, best first, which the run packs into the budget, or a `context` that is rendered already.

    A hit may be a text alone, and so may the context. `turn_ids` name the turns that a hit or an item comes from.
    """

    hits: tuple[FoundHit | str, ...] | None = None
    context: FoundContext | str | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.hits is None and self.context is None:
            raise ValueError("has neither 'hits' nor 'context'")
        if self.hits is not None and self.context is not None:
            raise ValueError("has both 'hits' and 'context'")
        return self

    def result(self) -> Context | list[Hit | str]:
        """As `Memory.retrieve` returns it."""
        if isinstance(self.context, FoundContext):
            items = tuple(Item(item.turn_ids, item.score, item.type) for item in self.context.items)
            return Context(self.context.text, items, self.context.truncated, self.context.left_out)
        if self.context is not None:
            return Context(self.context)
        return [
            hit if isinstance(hit, str) else Hit(hit.text, hit.turn_ids, hit.score, hit.date) for hit in self.hits or ()
        ]


REQUESTS: tuple[type[Request], ...] = (
    InfoRequest, OpenRequest, IngestRequest, ReadyRequest, RetrieveRequest, CloseRequest,
)  # fmt: skip
REPLIES: dict[str, type[_Message]] = {
    "info": Info, "open": Done, "ingest": Done, "ready": Readiness, "retrieve": Retrieved, "close": Done,
}  # fmt: skip

Reply = TypeVar("Reply", bound=_Message)


def parse_reply(kind: type[Reply], content: bytes, source: str) -> Reply:
    """The reply in a line or a body. Raises RemoteError in one sentence that begins with `source`."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        fault = error
    if fault.errors(include_url=False)[0]["type"] == "json_invalid":
        raise RemoteError(f"{source} is not JSON: {shown(content)}")
    raise RemoteError(f"{source} is not understood: {describe_fault(fault, from_json(content))}")


class _Failure(_Message):
    error: str


def failure(content: bytes) -> str | None:
    """The `error` that a reply holds, in one line; None if it holds none."""
    try:
        error = TypeAdapter(_Failure).validate_json(content).error
    except ValidationError:
        return None
    return shown(error.encode("utf-8", "replace"), quoted=False) or "an error without a text"


def shown(content: bytes, *, quoted: bool = True) -> str:
    """The beginning of somebody else's text, in one line."""
    text = " ".join(content[: 4 * _SHOWN].decode("utf-8", "replace").split())
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return repr(text) if quoted else text
