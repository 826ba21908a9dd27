"""Whether the classes have the methods, parameters and settings that a run uses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, get_args, get_origin, get_type_hints

from engram_eval.backends.remote.memory import RemoteBackend
from engram_eval.conformance.check import Check
from engram_eval.conformance.dialogues import first_dialogue, short_dialogue
from engram_eval.conformance.failed import Failed, NotApplicable, describe
from engram_eval.conformance.trial import BUDGET, Trial

_TYPES = (int, float, bool, str)


async def _opens(trial: Trial) -> None:
    dialogue = first_dialogue()
    async with trial.filled(dialogue) as memory:
        await memory.retrieve(dialogue.needle.question)
        await memory.retrieve(dialogue.needle.question, asked_at=datetime(2022, 1, 1), remark="with a date (asked_at)")


async def _settings(trial: Trial) -> None:
    if isinstance(trial.backend, RemoteBackend):
        raise NotApplicable("a memory elsewhere tells its settings itself")
    cls = type(trial.backend)
    try:
        hints = get_type_hints(cls.__init__)
    except Exception:  # an annotation that cannot be evaluated: as the registry sees it, a text
        hints = {}
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty:
            raise Failed(f"setting {name!r} of {cls.__name__} has no default; give it one")
        kind = hints.get(name, parameter.annotation)
        if kind not in _TYPES and get_origin(kind) is not Literal:
            shown = "no annotation" if kind is parameter.empty else f"the annotation {kind}"
            raise Failed(
                f"setting {name!r} of {cls.__name__} has {shown}, so --set would pass a text; "
                "annotate it as int, float, bool, str or a Literal"
            )
        if get_origin(kind) is Literal and not all(isinstance(value, str) for value in get_args(kind)):
            raise Failed(f"setting {name!r} of {cls.__name__} is a Literal of other values than texts; use texts")
    presets: dict[str, dict[str, Any]] = getattr(cls, "presets", {})
    for preset, settings in presets.items():
        if unknown := [key for key in settings if key not in parameters]:
            raise Failed(
                f"preset {preset!r} sets {unknown[0]!r}, which is no setting of {cls.__name__}; correct its name"
            )
        try:
            cls(**settings)
        except Exception as error:
            raise Failed(f"preset {preset!r} cannot be made: {describe(error)}; correct its settings") from error


async def _signatures(trial: Trial) -> None:
    _require_call(trial.backend, "open", "open(conversation, services)", lambda s: s.bind(None, None))
    async with trial.open(short_dialogue([]).conversation.info) as memory:
        opened = memory.memory
        try:
            _require_call(opened, "ingest", "ingest(session)", lambda s: s.bind(None))
            _require_call(
                opened,
                "retrieve",
                "retrieve(query, *, asked_at, budget)",
                lambda s: s.bind("", asked_at=None, budget=BUDGET),
            )
            _require_call(opened, "close", "close()", lambda s: s.bind())
            for name in ("ready", "turn_ids"):
                if hasattr(opened, name):
                    _require_call(opened, name, f"{name}()", lambda s: s.bind())
        except Failed:
            memory.closed = not hasattr(opened, "close")
            raise


def _require_call(owner: object, name: str, form: str, bind: Callable[[inspect.Signature], object]) -> None:
    """Raises Failed if a method is missing or cannot be called in this form."""
    method = getattr(owner, name, None)
    if not callable(method):
        raise Failed(f"{type(owner).__name__} has no method {name!r}; write it as {form}")
    try:
        bind(inspect.signature(method))
    except TypeError as error:
        raise Failed(
            f"{type(owner).__name__}.{name} cannot be called as a run calls it ({error}); write it as {form}"
        ) from None
    except ValueError:  # a method without a signature, such as one in C
        return


async def _before_ingest(trial: Trial) -> None:
    async with trial.open(first_dialogue().conversation.info) as memory:
        context = await memory.retrieve(first_dialogue().needle.question, remark="before any ingest")
        if context.items or context.text.strip():
            raise Failed(
                f"the context is not empty before anything was ingested: {context.text.strip()[:80]!r}; return Context('')"
            )


CHECKS = (
    Check("opens", "A memory opens, ingests, retrieves with and without a date, and closes.", _opens),
    Check(
        "settings", "Each setting has a default and a type that --set can convert; each preset can be made.", _settings
    ),
    Check("signatures", "The methods have the names and parameters by which a run calls them.", _signatures),
    Check("before-ingest", "Before anything is ingested, a context is empty and nothing fails.", _before_ingest),
)
