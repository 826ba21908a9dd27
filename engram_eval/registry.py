"""The extension points on one page: what can be named on the command line, and how a third party adds to it.

| kind      | implement                            | made with                                              |
|-----------|--------------------------------------|--------------------------------------------------------|
| backends  | `MemoryBackend`, backends/backend.py | `cls(**settings)`; `open` gets the services            |
| datasets  | a `Benchmark`, datasets/benchmark.py | the value itself                                       |
| readers   | `Reader`, readers/reader.py          | `factory(services, **settings)`, a class or a function |
| judges    | `Judge`, judges/judge.py             | `factory(services, **settings)`, a class or a function |
| embedders | `Embedder`, embedders/embedder.py    | `cls()`                                                |

`services` are `RoleServices` (services.py): a cached and budgeted LLM client, an embedder, the token counter, the benchmark.
A reader or judge that needs none of them may be a class without parameters.
Settings are parameters with a type and a default; `--set NAME.KEY=VALUE` changes them.

A name is a built-in one, an entry point that an installed package declares,

    [project.entry-points."engram_eval.backends"]
    mine = "my_package.memory:MyBackend"

or `package.module:Object` itself. A module is imported only when it is named. A backend may also be the address of a memory
elsewhere (`is_address`), which run/addresses.py opens.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from engram_eval.errors import UserError, note

Kind = Literal["backends", "datasets", "readers", "judges", "embedders"]
SettingValue = bool | int | float | str

_BUILT_IN: dict[Kind, dict[str, str]] = {
    "backends": {
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
    "datasets": {
        "locomo": "engram_eval.datasets.locomo:LOCOMO",
        "longmemeval_s": "engram_eval.datasets.longmemeval:LONGMEMEVAL_S",
        "longmemeval_oracle": "engram_eval.datasets.longmemeval:LONGMEMEVAL_ORACLE",
        "longmemeval_m": "engram_eval.datasets.longmemeval:LONGMEMEVAL_M",
        "dialogues": "engram_eval.datasets.dialogues:DIALOGUES",
        "synthetic": "engram_eval.datasets.synthetic.dataset:SYNTHETIC",
        "synthetic_longmemeval": "engram_eval.datasets.synthetic.dataset:SYNTHETIC_LONGMEMEVAL",
    },
    "readers": {
        "offline": "engram_eval.readers.offline.reader:make_offline_reader",
        "llm": "engram_eval.readers.llm:make_llm_reader",
    },
    "judges": {
        "offline": "engram_eval.judges.offline.judge:make_offline_judge",
        "llm": "engram_eval.judges.llm:make_llm_judge",
    },
    "embedders": {
        "static": "engram_eval.embedders.static:StaticEmbedder",
        "minilm": "engram_eval.embedders.minilm:MiniLMEmbedder",
    },
}


def names(kind: Kind) -> list[str]:
    """Built-in names in their order, then those of installed packages."""
    return list(_targets(kind))


def _targets(kind: Kind) -> dict[str, str]:
    """`module:Object` by name. An installed package cannot take over a built-in name."""
    built_in = _BUILT_IN[kind]
    installed = _installed(kind, tuple(sys.path))
    for name in installed.keys() & built_in.keys():
        _refuse_name(kind, name, installed[name])
    return built_in | {name: target for name, target in installed.items() if name not in built_in}


@cache
def _refuse_name(kind: Kind, name: str, target: str) -> None:
    """Once for each name."""
    note(f"{name!r} is a built-in {kind[:-1]}, so that of an installed package is not used; name it as {target}")


@cache
def _installed(kind: Kind, _path: tuple[str, ...]) -> dict[str, str]:
    """What installed packages declare. Read once per search path: every package's metadata has to be opened."""
    entries = entry_points(group=f"engram_eval.{kind}")
    return {entry.name: entry.value for entry in sorted(entries, key=lambda entry: entry.name)}


def resolve(kind: Kind, name: str) -> Any:
    """The object behind a name. Raises UserError if there is none or it cannot be imported."""
    target = _targets(kind).get(name, name)
    if kind == "backends" and re.fullmatch(r"[\w.-]+:\d+(/.*)?", target):
        raise UserError(f"backend {name!r}: a memory on a server is named by its URL, as in http://{target}")
    if ":" not in target:
        raise UserError(
            f"there is no {kind[:-1]} {name!r}; name one of {', '.join(names(kind))}, or your own as package.module:Object"
        )
    return _import(kind, name, target)


def _import(kind: Kind, name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    if name == target and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # a module of one's own lies in the working folder, which a command does not search
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever somebody else's module raises when it is imported
        raise UserError(
            f"{kind[:-1]} {name!r}: {target} cannot be imported ({type(error).__name__}: {_line(error)}); "
            "check its spelling and that its package is installed"
        ) from None


def make(kind: Kind, name: str, *arguments: Any, **settings: Any) -> Any:
    """What the class or function behind a name makes. Raises UserError if it fails."""
    return _make(kind, name, resolve(kind, name), *arguments, **settings)


def _make(kind: Kind, name: str, factory: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    try:
        return factory(*arguments, **settings)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{kind[:-1]} {name!r} cannot be made ({type(error).__name__}: {_line(error)})") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def base_name(kind: Kind, label: str) -> str:
    """`NAME` of `NAME:PRESET` or `NAME:VARIANT`, or `package.module:Object` without what follows."""
    name, _, rest = label.partition(":")
    if name in names(kind):
        return name
    return f"{name}:{rest.partition(':')[0]}" if rest and "://" not in label else label


# --- backends ---------------------------------------------------------------------------------------------------


def open_backend(label: str, overrides: Mapping[str, str], own: Mapping[str, SettingValue] | None = None) -> Any:
    """A backend from `NAME`, `NAME:PRESET` or `package.module:Class`.

    The text values of `--set` (`overrides`) override the preset's settings, and a variant's `own` override both;
    `typed_settings` has checked these.
    """
    name = base_name("backends", label)
    preset = label.removeprefix(name).removeprefix(":")
    cls = resolve("backends", name)
    presets: Mapping[str, Mapping[str, SettingValue]] = getattr(cls, "presets", {})
    if preset and preset not in presets:
        known = f"its presets are {', '.join(presets)}" if presets else "it has no presets"
        raise UserError(f"backend {label!r}: there is no preset {preset!r}; {known}")
    settings = {**presets.get(preset, {}), **_parsed("backends", name, _setting_types(cls), overrides), **(own or {})}
    try:
        backend = cls(**settings)
    except Exception as error:
        raise UserError(f"backend {label!r} cannot be made ({_line(error)}); see 'engram-eval backends'") from error
    return require_backend(label, backend)


def require_backend(label: str, backend: Any) -> Any:
    """The backend. Raises UserError if it is none."""
    if not callable(getattr(backend, "open", None)):
        raise UserError(f"backend {label!r} has no method 'open'; see MemoryBackend in engram_eval/backends/backend.py")
    return backend


def is_address(name: str) -> bool:
    """Whether a backend's name is the address of a memory elsewhere: `worker:COMMAND`, or a URL (backends/remote)."""
    return name.startswith(("worker:", "http://", "https://"))


def typed_settings(label: str, values: Mapping[str, object], where: str) -> dict[str, SettingValue]:
    """A backend's settings from values of TOML or JSON. Raises UserError, naming `where`, for unknown or wrong ones."""
    if is_address(label):  # it tells its settings when the run begins
        return {key: _typed(f"{where}: {key} = {value!r}", value, None) for key, value in values.items()}
    try:
        hints = _setting_types(resolve("backends", base_name("backends", label)))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    for key in values:
        if key not in hints:
            raise UserError(f"{where}: backend {label!r} has no setting {key!r}; {_known(hints)}")
    return {key: _typed(f"{where}: {key} = {value!r}", value, hints[key]) for key, value in values.items()}


def settings_of(backend: object) -> dict[str, JsonValue]:
    """A backend's settings as the manifest keeps them; a value that JSON does not have is kept as its text."""
    if dataclasses.is_dataclass(backend) and not isinstance(backend, type):
        values: dict[str, JsonValue] = to_jsonable_python(dataclasses.asdict(backend), fallback=str)
        return values
    return {}


@dataclasses.dataclass(frozen=True, slots=True)
class BackendListing:
    """`settings`: with their defaults; `notes`: on some of them. `presets`: the settings that each preset changes."""

    name: str
    summary: str
    settings: Mapping[str, JsonValue]
    notes: Mapping[str, str]
    presets: Mapping[str, Mapping[str, SettingValue]]


def describe_backends(labels: Sequence[str] = ()) -> list[BackendListing]:
    """These backends, or all that have a name, in the order of `names`. Raises UserError for a label that is none."""
    if labels:
        return [_listing(base_name("backends", label)) for label in labels]
    listings = []
    for name in names("backends"):
        try:
            listings.append(_listing(name))
        except Exception as error:  # of an installed package: it must not hide the others
            listings.append(BackendListing(name, f"NOT USABLE: {_line(error)}", {}, {}, {}))
    return listings


def _listing(name: str) -> BackendListing:
    cls = resolve("backends", name)
    summary = (inspect.getdoc(cls) or "").partition("\n")[0]
    notes, presets = getattr(cls, "setting_notes", {}), getattr(cls, "presets", {})
    return BackendListing(name, summary, settings_of(cls()), notes, presets)


# --- readers and judges -----------------------------------------------------------------------------------------


def make_role(
    kind: Literal["readers", "judges"], label: str, services: Any, overrides: Mapping[str, str], factory: Any = None
) -> Any:
    """A reader or a judge from `NAME`, `NAME:VARIANT` or `package.module:Object`, with the text values of `--set`.

    `factory`: a class or function given in place of the name.
    """
    if factory is not None:
        return require_role(kind, label, _make(kind, label, factory, *_services_for(factory, services)))
    name = base_name(kind, label)
    factory = resolve(kind, name)
    settings = _parsed(kind, name, _role_setting_types(factory), overrides)
    if variant := label.removeprefix(name).removeprefix(":"):
        if "variant" not in _role_setting_types(factory):
            raise UserError(f"{kind[:-1]} {label!r}: {name!r} has no variants; name it without {variant!r}")
        settings["variant"] = variant
    return require_role(kind, label, _make(kind, label, factory, *_services_for(factory, services), **settings))


def _services_for(factory: Any, services: Any) -> list[Any]:
    """The services as an argument, unless the class or function takes none."""
    return [services] if _setting_types(factory) else []


def require_role(kind: Literal["readers", "judges"], label: str, role: Any) -> Any:
    """The reader or judge. Raises UserError if it lacks a method or an attribute."""
    needed = {"readers": ("name", "model", "window", "answer"), "judges": ("name", "judge", "agreement")}[kind]
    for attribute in needed:
        if not hasattr(role, attribute):
            raise UserError(f"{kind[:-1]} {label!r} has no {attribute!r}; see engram_eval/{kind}/{kind[:-1]}.py")
    return role


def _role_setting_types(factory: Any) -> dict[str, object]:
    """Those of a reader or judge: all parameters but the first, which takes the services."""
    return dict(list(_setting_types(factory).items())[1:])


def setting_names(kind: Kind, label: str) -> set[str]:
    """The names of the settings that `--set` can change."""
    factory = resolve(kind, base_name(kind, label))
    return set(_role_setting_types(factory) if kind in ("readers", "judges") else _setting_types(factory))


# --- settings ---------------------------------------------------------------------------------------------------


def _setting_types(factory: Any) -> dict[str, object]:
    """Parameter names and annotations of a class or function."""
    if dataclasses.is_dataclass(factory):
        hints = get_type_hints(factory)
        return {field.name: hints[field.name] for field in dataclasses.fields(factory)}
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # not callable, or without a signature
        return {}
    return {p.name: p.annotation if p.annotation is not p.empty else str for p in parameters}


def _parsed(
    kind: Kind, name: str, hints: Mapping[str, object], overrides: Mapping[str, str]
) -> dict[str, SettingValue]:
    for key, text in overrides.items():
        if key not in hints:
            raise UserError(f"--set {name}.{key}={text}: {kind[:-1]} {name!r} has no setting {key!r}; {_known(hints)}")
    return {key: _parse(f"--set {name}.{key}={text}", text, hints[key]) for key, text in overrides.items()}


def _known(hints: Mapping[str, object]) -> str:
    return f"its settings are {', '.join(hints)}" if hints else "it has no settings"


def _parse(where: str, text: str, kind: object) -> SettingValue:
    """A setting's value from its text, by its declared type."""
    if get_origin(kind) is Literal:
        if text in get_args(kind):
            return text
        raise UserError(f"{where}: {text!r} is not one of {', '.join(get_args(kind))}")
    if kind is bool or kind == "bool":
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UserError(f"{where}: {text!r} is not true or false")
    for number, description in ((int, "a whole number"), (float, "a number")):
        if kind is number or kind == number.__name__:
            try:
                return number(text)
            except ValueError:
                raise UserError(f"{where}: {text!r} is not {description}") from None
    return text


def _typed(where: str, value: Any, kind: object) -> SettingValue:
    """A setting's value from a TOML or JSON value, by its declared type; 1 is also a float."""
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return cast(SettingValue, value)
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
    descriptions = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    if not fits.get(name, any(fits.values())):
        raise UserError(f"{where} is not {descriptions.get(name, 'a number, text, true or false')}")
    return cast(SettingValue, value)
