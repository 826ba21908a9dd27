"""Turns a Python class into a memory that engram_eval measures in a process of its own. One file, no dependencies, Python 3.9.

    # my_worker.py
    from engram_eval_worker import serve

    class MyMemory:                                     # one for each conversation
        def __init__(self, k=10):                       # settings: --set LABEL.k=20
            self.k, self.turns = k, []

        def ingest(self, session):                      # .id .started_at .turns, each with .id .speaker .text
            self.turns += session.turns

        def retrieve(self, query, *, asked_at, budget):
            return [{"text": turn.text, "turn_ids": [turn.id]} for turn in self.turns[-self.k:]]

    if __name__ == "__main__":
        serve(MyMemory, name="mine")

    $ engram-eval run --backend worker:"/path/to/python my_worker.py"

Workers that engram_eval starts can import this file as it is; elsewhere, copy it. Import it before libraries that print.

`ingest`, `retrieve`, and if there are any `ready` and `close`, may be sync or async. Sync ones run in the main thread, async
ones in one event loop, which runs all the time. `retrieve` returns, best first, a list of hits (dicts, or objects with these
attributes) with `text`, and if they are known `turn_ids`, `score` and `date`; or of texts; or a context, as a text or with
`text` and `items`. `__init__` may have parameters `conversation` (.id, .speakers) and `folder` (an empty folder for files); all
others are settings with a default, and get values of the default's type. An exception is the error of the questions that it
affects.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import os
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any, TextIO

PROTOCOL = 1
_GIVEN = ("conversation", "folder")


def _take_stdout() -> TextIO:
    """The stream of replies. What anything else prints on stdout goes to stderr from now on."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return replies


_REPLIES = _take_stdout() if os.environ.get("ENGRAM_EVAL_WORKER") else None


def serve(
    memory: Callable[..., Any],
    *,
    name: str | None = None,
    version: str | None = None,
    context_limit: str = "budget",
    paraphrases: bool = False,
) -> None:
    """Answers the messages on stdin until it ends. `memory`: a class or a function that makes the memory of a conversation.

    `name`: what the tables call it. `version`: of what is measured. `context_limit`: "budget" (tokens, as for all memories),
    "window" (the reader's) or "none". `paraphrases`: whether its texts do not contain the turns verbatim.
    """
    settings = _settings(memory)
    info = {
        "protocol": PROTOCOL,
        "name": name,
        "version": version,
        "context_limit": context_limit,
        "paraphrases": paraphrases,
        "settings": settings,
    }
    replies = _REPLIES or _take_stdout()
    worker = _Worker(memory, info, settings)
    for line in sys.stdin.buffer:
        message = json.loads(line.decode("utf-8"))
        try:
            reply = worker.answer(message)
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps({"id": message["id"], **reply}) + "\n")
        replies.flush()
        if message["message"] == "close":
            break
    sys.stderr.flush()
    os._exit(0)  # whatever threads a library has left


class _Worker:
    def __init__(self, factory: Callable[..., Any], info: dict[str, Any], settings: dict[str, Any]) -> None:
        self._factory, self._info, self._settings = factory, info, settings
        self._memory: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        kind = message["message"]
        if kind == "info":
            return self._info
        if kind == "open":
            given = {"conversation": SimpleNamespace(**message["conversation"]), "folder": message["folder"]}
            wanted = {key: value for key, value in given.items() if key in _parameters(self._factory)}
            self._memory = self._wait(self._factory(**wanted, **_typed(message["settings"], self._settings)))
        elif kind == "ingest":
            self._wait(self._memory.ingest(_session(message["session"])))
        elif kind == "ready" and hasattr(self._memory, "ready"):
            self._wait(self._memory.ready())
        elif kind == "close" and hasattr(self._memory, "close"):
            self._wait(self._memory.close())
        elif kind == "retrieve":
            asked_at = _date(message["asked_at"])
            found = self._wait(self._memory.retrieve(message["query"], asked_at=asked_at, budget=message["budget"]))
            return _retrieved(found)
        elif kind not in ("ready", "close"):
            raise ValueError(f"there is no message {kind!r}")
        return {}

    def _wait(self, value: Any) -> Any:
        """The result of a method that may be async."""
        if not inspect.isawaitable(value):
            return value
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, daemon=True).start()

        async def finish() -> Any:
            return await value

        return asyncio.run_coroutine_threadsafe(finish(), self._loop).result()


def _parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(factory).parameters
    return {name: p for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _settings(factory: Callable[..., Any]) -> dict[str, Any]:
    """The settings with their defaults."""
    settings = {name: p.default for name, p in _parameters(factory).items() if name not in _GIVEN}
    for name, default in settings.items():
        if not isinstance(default, (bool, int, float, str, type(None))):
            raise TypeError(f"the parameter {name!r} needs a default: a number, a text, True, False or None")
    return settings


def _typed(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Settings, of which `--set` gives the text, in the types of their defaults."""
    return {name: _typed_value(name, value, defaults.get(name)) for name, value in values.items()}


def _typed_value(name: str, value: Any, default: Any) -> Any:
    if not isinstance(value, str) or default is None or isinstance(default, str):
        return value
    if isinstance(default, bool):
        if value.lower() not in ("true", "false"):
            raise ValueError(f"the setting {name} is {value!r}, not true or false")
        return value.lower() == "true"
    try:
        return type(default)(value)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise ValueError(f"the setting {name} is {value!r}, not {kind}") from None


def _session(session: dict[str, Any]) -> SimpleNamespace:
    turns = [SimpleNamespace(**turn) for turn in session["turns"]]
    return SimpleNamespace(**{**session, "turns": turns, "started_at": _date(session["started_at"])})


def _date(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def _retrieved(found: Any) -> dict[str, Any]:
    if isinstance(found, (list, tuple)):
        return {"hits": [hit if isinstance(hit, str) else _fields(hit, _HIT) for hit in found]}
    if isinstance(found, str):
        return {"context": found}
    context = _fields(found, ("text", "items", "truncated", "left_out"))
    return {"context": {**context, "items": [_fields(item, _ITEM) for item in context.get("items", ())]}}


_HIT = ("text", "turn_ids", "score", "date")
_ITEM = ("turn_ids", "score", "type")


def _fields(value: Any, names: Any) -> dict[str, Any]:
    """Those of the fields that a dict or an object has, as JSON has them."""
    if not isinstance(value, dict) and not hasattr(value, names[0]):
        raise TypeError(f"retrieve returned {type(value).__name__}, not a hit, a text or a context")
    given = value if isinstance(value, dict) else {name: getattr(value, name) for name in names if hasattr(value, name)}
    return {name: _plain(given[name]) for name in names if given.get(name) is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, (bool, int, str, dict)):
        return value
    number = float(value)  # also of numpy
    if not math.isfinite(number):
        raise ValueError(f"a score is {number}, not a finite number")
    return number
