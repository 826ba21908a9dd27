"""The extension points on one page: what can be named on a command line, and how a third party adds to it.

A name is one that is built in; or an entry point that an installed package declares,

    [project.entry-points."engram_eval.backends"]
    mine = "my_package.memory:MyBackend"

or `package.module:Object` itself. Nothing is imported before it is named.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Literal, get_args, get_origin, get_type_hints

from engram_eval.errors import UserError

Kind = Literal["backends", "datasets", "readers", "judges", "embedders"]

_BUILT_IN: dict[Kind, dict[str, str]] = {
    "backends": {  # classes: MemoryBackend in engram_eval/backends
        "engram": "engram_eval.backends.engram:EngramBackend",
        "full-history": "engram_eval.backends.full_history:FullHistoryBackend",
        "bm25": "engram_eval.backends.bm25:Bm25Backend",
        "dense": "engram_eval.backends.dense:DenseBackend",
        "conditional": "engram_eval.backends.conditional:ConditionalBackend",
        "split-budget": "engram_eval.backends.split_budget:SplitBudgetBackend",
        "degraded": "engram_eval.backends.engram:DegradedBackend",
        "none": "engram_eval.backends.controls:NoneBackend",
        "oracle": "engram_eval.backends.controls:OracleBackend",
    },
    "datasets": {  # values: Benchmark in engram_eval/datasets/benchmark.py
        "locomo": "engram_eval.datasets.locomo:LOCOMO",
        "longmemeval_s": "engram_eval.datasets.longmemeval:LONGMEMEVAL_S",
        "longmemeval_oracle": "engram_eval.datasets.longmemeval:LONGMEMEVAL_ORACLE",
        "longmemeval_m": "engram_eval.datasets.longmemeval:LONGMEMEVAL_M",
        "dialogues": "engram_eval.datasets.dialogues:DIALOGUES",
        "synthetic": "engram_eval.datasets.synthetic.dataset:SYNTHETIC",
        "synthetic_longmemeval": "engram_eval.datasets.synthetic.dataset:SYNTHETIC_LONGMEMEVAL",
    },
    "readers": {  # classes: Reader in engram_eval/readers, made with a function that counts tokens
        "offline": "engram_eval.readers.offline.reader:OfflineReader",
        "llm": "engram_eval.readers.llm:LLMReader",  # made by plan.py, with a client
    },
    "judges": {  # classes: Judge in engram_eval/judges, made with nothing
        "offline": "engram_eval.judges.offline.judge:OfflineJudge",
        "llm": "engram_eval.judges.llm:LLMJudge",  # made by plan.py, with a client
    },
    "embedders": {  # classes: Embedder in engram_eval/embedders, made with nothing
        "static": "engram_eval.embedders.static:StaticEmbedder",
        "minilm": "engram_eval.embedders.minilm:MiniLMEmbedder",
    },
}


def names(kind: Kind) -> list[str]:
    """Built-in names in their order, then those of installed packages."""
    installed = [entry.name for entry in entry_points(group=f"engram_eval.{kind}")]
    return list(dict.fromkeys([*_BUILT_IN[kind], *sorted(installed)]))


def resolve(kind: Kind, name: str) -> Any:
    """The object that a name stands for. Raises UserError if there is none or it cannot be imported."""
    for entry in entry_points(group=f"engram_eval.{kind}"):
        if entry.name == name and name not in _BUILT_IN[kind]:
            return _import(kind, name, entry.value)
    target = _BUILT_IN[kind].get(name, name)
    if ":" not in target:
        raise UserError(
            f"there is no {kind[:-1]} {name!r}; name one of {', '.join(names(kind))}, or your own as package.module:Object"
        )
    return _import(kind, name, target)


def _import(kind: Kind, name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a module of somebody else's does when it is imported
        raise UserError(
            f"{kind[:-1]} {name!r}: {target} cannot be imported ({type(error).__name__}: {_line(error)}); "
            "is its package installed, spelled right, and sound?"
        ) from None


def make(kind: Kind, name: str, *arguments: Any) -> Any:
    """An instance of the class that a name stands for. Raises UserError where it cannot be made."""
    try:
        return resolve(kind, name)(*arguments)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{kind[:-1]} {name!r} cannot be made ({type(error).__name__}: {_line(error)})") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def backend_name(label: str) -> str:
    """`NAME` of `NAME:PRESET`; a path, or what is no name, as it is."""
    name = label.partition(":")[0]
    return name if name in names("backends") else label


def open_backend(label: str, overrides: Mapping[str, str], own: Mapping[str, Any] | None = None) -> Any:
    """A backend from `NAME`, `NAME:PRESET` or `package.module:Class`.

    Its settings are overridden by text values, and these by a variant's `own`, which `typed_settings` has checked.
    """
    name = backend_name(label)
    preset = label.removeprefix(name).removeprefix(":")
    cls = resolve("backends", name)
    presets: dict[str, dict[str, Any]] = getattr(cls, "presets", {})
    if preset and preset not in presets:
        known = f"its presets are {', '.join(presets)}" if presets else "it has no presets"
        raise UserError(f"backend {label!r}: there is no preset {preset!r}; {known}")
    settings = dict(presets.get(preset, {}))
    hints = _setting_types(cls)
    for key, text in overrides.items():
        if key not in hints:
            known = f"its settings are {', '.join(hints)}" if hints else "it has no settings"
            raise UserError(f"--set {name}.{key}={text}: backend {name!r} has no setting {key!r}; {known}")
        settings[key] = _parse(f"--set {name}.{key}={text}", text, hints[key])
    settings |= own or {}
    try:
        backend = cls(**settings)
    except Exception as error:
        raise UserError(f"backend {label!r} cannot be made ({_line(error)}); see 'engram-eval backends'") from error
    if not callable(getattr(backend, "open", None)):
        raise UserError(
            f"backend {label!r} has no method 'open'; see engram_eval/backends/backend.py for what it takes"
        )
    return backend


def typed_settings(label: str, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A backend's settings from values of TOML or JSON. Raises UserError, naming `where`, for what it does not take."""
    try:
        hints = _setting_types(resolve("backends", backend_name(label)))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    for key in values:
        if key not in hints:
            known = f"its settings are {', '.join(hints)}" if hints else "it has no settings"
            raise UserError(f"{where}: backend {label!r} has no setting {key!r}; {known}")
    return {key: _typed(f"{where}: {key} = {value!r}", value, hints[key]) for key, value in values.items()}


def settings_of(backend: object) -> dict[str, Any]:
    """A backend's settings as the manifest keeps them."""
    if dataclasses.is_dataclass(backend) and not isinstance(backend, type):
        return dataclasses.asdict(backend)
    return {}


def _setting_types(cls: type) -> dict[str, Any]:
    if dataclasses.is_dataclass(cls):
        hints = get_type_hints(cls)
        return {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):  # not a class, or one that does not tell
        return {}
    return {p.name: p.annotation if p.annotation is not p.empty else str for p in parameters}


def _parse(where: str, text: str, kind: Any) -> Any:
    """A setting's value from its text, by the type that the field declares."""
    if get_origin(kind) is Literal:
        if text in get_args(kind):
            return text
        raise UserError(f"{where}: {text!r} is not one of {', '.join(get_args(kind))}")
    if kind is bool or kind == "bool":
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UserError(f"{where}: {text!r} is not true or false")
    for number, called in ((int, "a whole number"), (float, "a number")):
        if kind is number or kind == number.__name__:
            try:
                return number(text)
            except ValueError:
                raise UserError(f"{where}: {text!r} is not {called}") from None
    return text


def _typed(where: str, value: Any, kind: Any) -> Any:
    """A setting's value from a typed one, by the type that the field declares; 1 is a float too."""
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise UserError(f"{where} is not one of {', '.join(map(str, get_args(kind)))}")
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if kind in (float, "float") and is_number:
        return float(value)
    fits = {
        "bool": isinstance(value, bool),
        "int": is_number and isinstance(value, int),
        "float": is_number,
        "str": isinstance(value, str),
    }
    called = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    if not fits.get(name, any(fits.values())):
        raise UserError(f"{where} is not {called.get(name, 'a number, text, true or false')}")
    return value
