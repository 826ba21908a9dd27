"""What a server says about itself: its models, how long their contexts are, and how many requests it answers side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard
from urllib.parse import urlsplit, urlunsplit

from engram_eval.llm.cache.keys import encodable
from engram_eval.llm.transport import Endpoint

_LENGTHS = ("n_ctx", "max_model_len", "loaded_context_length", "context_length", "context_window", "max_context_length")
_LLAMA_CPP = "llamacpp"
_BATCHING = ("vllm", "sglang", "tgi", "text-generation-inference", "lmdeploy", "trtllm")
"""Servers (`owned_by` in the list of their models) that answer many requests side by side."""
_ABSURD = 10**9  # tokens


@dataclass(frozen=True, slots=True)
class ServedModel:
    """`context_length`: the longest prompt and answer together, in tokens; None if the server does not say."""

    id: str
    context_length: int | None
    owned_by: str


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """`slots`: how many requests the server answers at a time; None if it does not say."""

    models: tuple[ServedModel, ...] = ()
    slots: int | None = None

    @property
    def answers_many(self) -> bool:
        """Whether it is a server that is known to answer many requests side by side."""
        return any(model.owned_by in _BATCHING for model in self.models)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServerInfo:
        values = json.loads(text)
        return cls(tuple(ServedModel(**model) for model in values["models"]), values["slots"])

    def context_length(self, model: str) -> int | None:
        """That of a model by its name, or of the only model that the server has: some answer to any name."""
        named = [served for served in self.models if served.id == model] or list(self.models)
        return named[0].context_length if len(named) == 1 else None


async def look_up(endpoint: Endpoint) -> ServerInfo:
    """Asks the server; what it does not say within a few seconds is unknown. Raises UserError if there is no server."""
    models = tuple(_models(await endpoint.get("/models")))
    if not any(model.owned_by == _LLAMA_CPP for model in models):
        return ServerInfo(models)
    properties = await endpoint.get(_beside_the_api(endpoint.url, "props"))
    slots = properties.get("total_slots") if isinstance(properties, dict) else None
    return ServerInfo(models, slots if _is_count(slots) else None)


def _models(listed: Any) -> Iterator[ServedModel]:
    entries = listed.get("data") if isinstance(listed, dict) else listed  # some servers send the bare list
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(name := entry.get("id"), str) and name:
            owner = entry.get("owned_by")
            yield ServedModel(encodable(name), _context_length(entry), owner.lower() if isinstance(owner, str) else "")


def _context_length(entry: Mapping[str, Any]) -> int | None:
    meta = entry.get("meta")
    for place in (entry, meta if isinstance(meta, dict) else {}):
        for name in _LENGTHS:
            if _is_count(length := place.get(name)):
                return length
    return None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _ABSURD


def _beside_the_api(url: str, name: str) -> str:
    """An address of the server outside of /v1."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.removesuffix('/v1')}/{name}", "", ""))
