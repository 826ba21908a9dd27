"""What a run was asked to do: from the command line, from an experiment file (TOML), kept in the manifest."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from engram_eval import registry
from engram_eval.errors import UserError

CONTROLS = ("none", "oracle")  # the floor and the ceiling: in every table unless switched off


@dataclass(frozen=True)
class Settings:
    """One run. None is for what is not set: a role's own model and endpoint, a limit, the dataset's own budget.

    `reader` and `judge`: `auto` is a model if the environment names a key or an endpoint. `options` holds
    `--set NAME.KEY=VALUE` as {"NAME.KEY": "VALUE"}. `variants` holds, by label, a backend ("backend") and settings of its own
    that come before `options`. `reference`: the label that others are paired with when they are compared.
    """

    dataset: str = "auto"
    data: str | None = None
    backends: tuple[str, ...] = ("engram", "full-history", "bm25", "dense")
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    reference: str | None = None
    controls: bool = True
    reader: str = "auto"
    judge: str = "auto"
    embedder: str = "static"
    model: str | None = None
    reader_model: str | None = None
    judge_model: str | None = None
    router_model: str | None = None
    judge_votes: int = 1
    judge_probe: bool = True
    base_url: str | None = None
    reader_base_url: str | None = None
    judge_base_url: str | None = None
    router_base_url: str | None = None
    embedder_base_url: str | None = None
    window: int = 126_000
    max_in_flight: int = 16
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout: float = 120.0
    max_cost: float | None = None
    prices: str | None = None
    replay: bool = False
    encoding: str = "o200k_base"
    budget: int | None = None
    categories: tuple[str, ...] | None = None
    limit: int | None = None
    seed: int = 0
    options: dict[str, str] = field(default_factory=dict)

    def labels(self) -> list[str]:
        """The backends in the order of the table: floor, memories, ceiling."""
        floor, ceiling = CONTROLS
        named = [floor, *self.backends, ceiling] if self.controls else self.backends
        return list(dict.fromkeys(named))

    def backend_of(self, label: str) -> str:
        """The backend that a label stands for: a variant's, or the label itself."""
        variant = self.variants.get(label)
        return str(variant["backend"]) if variant else label

    def asks_models(self) -> bool:
        """Whether reader or judge is a model."""
        return self.reader == "llm" or self.judge.partition(":")[0] == "llm"

    def options_of(self, name: str) -> dict[str, str]:
        """The settings that `--set` gives to one backend, or to the dataset."""
        return {key.rpartition(".")[2]: value for key, value in self.options.items() if key.rpartition(".")[0] == name}

    def to_json(self) -> dict[str, Any]:
        values = asdict(self).items()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


_TYPES: dict[str, type | tuple[type, ...]] = {
    "dataset": str, "data": str, "backends": (list, tuple), "variants": dict, "reference": str, "controls": bool,
    "reader": str, "judge": str, "embedder": str, "model": str, "reader_model": str, "judge_model": str,
    "router_model": str, "judge_votes": int, "judge_probe": bool, "base_url": str, "reader_base_url": str,
    "judge_base_url": str, "router_base_url": str, "embedder_base_url": str,
    "window": int, "max_in_flight": int, "requests_per_minute": int, "tokens_per_minute": int, "timeout": (int, float),
    "max_cost": (int, float), "prices": str, "replay": bool,
    "encoding": str, "budget": int, "categories": (list, tuple), "limit": int, "seed": int, "options": dict,
}  # fmt: skip


def from_mapping(values: Mapping[str, Any], where: str) -> Settings:
    """Settings from JSON or TOML values. Raises UserError, naming `where`, for unknown keys and wrong types."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: the settings are not an object; start a new run")
    clean: dict[str, Any] = {}
    for key, value in values.items():
        if key not in _TYPES:
            raise UserError(f"{where}: there is no setting {key!r}; the settings are {', '.join(_TYPES)}")
        if value is None:
            continue
        if not isinstance(value, _TYPES[key]) or (isinstance(value, bool) and _TYPES[key] is int):
            raise UserError(f"{where}: {key} = {value!r} is not {_name(key)}")
        clean[key] = tuple(map(str, value)) if isinstance(value, list | tuple) else value
    if "options" in clean:
        clean["options"] = {name: str(value) for name, value in _flat(clean["options"]).items()}
    if "variants" in clean:
        clean["variants"] = {name: _variant(name, of, where) for name, of in clean["variants"].items()}
    settings = Settings(**clean)
    least_of = dict.fromkeys(("budget", "limit", "judge_votes", "window", "max_in_flight"), 1)
    for key, least in {**least_of, "requests_per_minute": 1, "tokens_per_minute": 1, "seed": 0}.items():
        number = getattr(settings, key)
        if number is not None and number < least:
            raise UserError(f"{where}: {key} = {number} is too small; it is at least {least}")
    if settings.judge_votes % 2 == 0:
        raise UserError(f"{where}: judge_votes = {settings.judge_votes} may end in a tie; name an odd number")
    for key in ("data", "categories"):
        if not getattr(settings, key) and getattr(settings, key) is not None:
            raise UserError(f"{where}: {key} is empty; name something or leave it out")
    if not settings.labels():
        raise UserError(f"{where}: backends is empty; name at least one")
    for name in settings.variants:
        if name not in settings.backends:
            raise UserError(f"{where}: backends does not name the variant {name!r}; name it there or leave it out")
    if settings.reference is not None and settings.reference not in settings.labels():
        raise UserError(
            f"{where}: reference = {settings.reference!r} is none of the backends; name one of {', '.join(settings.labels())}"
        )
    return settings


def _variant(name: str, of: Any, where: str) -> dict[str, Any]:
    """A variant's table, its values by the types of the backend's settings."""
    where = f"{where}: variants.{name!r}"
    if not isinstance(of, dict) or not isinstance(of.get("backend"), str):
        raise UserError(f'{where}: is not a table with a backend, as in backend = "engram"')
    if not name:
        raise UserError(f"{where}: has no name; give the variant one")
    if name.partition(":")[0] in registry.names("backends"):
        raise UserError(f"{where}: is the name of a backend; give the variant another")
    own = {key: value for key, value in of.items() if key != "backend"}
    return {"backend": of["backend"], **registry.typed_settings(of["backend"], own, where)}


def from_file(path: Path) -> dict[str, Any]:
    """The values of an experiment file (TOML), or of the run whose `manifest.json` it is.

    A relative `data` is relative to the file's own folder.
    """
    is_manifest = path.suffix == ".json"
    try:
        text = path.read_bytes().decode("utf-8")
        values = json.loads(text) if is_manifest else tomllib.loads(text)
        if is_manifest:
            if values["reader"]["name"] == "recorded":
                raise UserError(f"{path}: of a grading, which has no memories to run; see 'engram-eval judge --help'")
            values = {name: value for name, value in values["settings"].items() if value is not None}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = "not the manifest of a run" if is_manifest else f"not TOML ({error}); see benchmarks/ for examples"
        raise UserError(f"{path}: {what}") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); name an experiment file such as benchmarks/default.toml"
        ) from None
    if isinstance(values.get("data"), str):
        values["data"] = str(path.parent / values["data"])
    return values


def parse_options(texts: Sequence[str]) -> dict[str, str]:
    """`--set NAME.KEY=VALUE …` as {"NAME.KEY": "VALUE"}."""
    options = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or "." not in key:
            raise UserError(f"--set {text}: not of the form NAME.KEY=VALUE, as in --set engram.k=20")
        options[key] = value
    return options


def differences(old: Settings, new: Settings) -> list[str]:
    """What differs between two settings, in words. Where the data lies is no difference: its hash is compared."""
    free = (
        "data", "dataset", "max_in_flight", "requests_per_minute", "tokens_per_minute", "timeout", "max_cost", "prices",
        "replay",
    )  # fmt: skip
    return [
        f"{f.name} was {getattr(old, f.name)!r} and is {getattr(new, f.name)!r}"
        for f in fields(Settings)
        if f.name not in free and getattr(old, f.name) != getattr(new, f.name)
    ]


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    """{"engram": {"k": 20}} and {"engram.k": 20} are the same."""
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        flat |= (
            {f"{key}.{inner}": deeper for inner, deeper in value.items()} if isinstance(value, dict) else {key: value}
        )
    return flat


def _name(key: str) -> str:
    names: dict[Any, str] = {
        str: "text",
        bool: "true or false",
        int: "a whole number",
        dict: "a table",
        (int, float): "a number",
    }
    return names.get(_TYPES[key], "a list")
