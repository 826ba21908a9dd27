"""The settings of a run, each declared once: its type, default, minimum, flag, help, and whether a resumed run may change it.

They come from flags (`cli/options.py` makes these from the model), from an experiment file (TOML), from the `manifest.json` of
another run, or from `engram_eval.evaluate`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from engram_eval import registry
from engram_eval.errors import UserError
from engram_eval.results.stored import encodable
from engram_eval.system.files import read_text
from engram_eval.system.validation import validate

CONTROLS = ("none", "oracle")  # the floor and the ceiling: in every table unless switched off

Group = Literal["data", "run", "file", "models", "reader", "judge", "router", "embedder"]


@dataclass(frozen=True)
class Setting:
    """What the command line and a resumed run need to know about a setting.

    `group`: commands take flags by group; those of `file` have no flag. `flag`: where it is not the field's name.
    `form`: how one flag gives a list: repeated, or separated by commas. `resumable`: a resumed run may have another value.
    """

    group: Group
    help: str = ""
    metavar: str | None = None
    flag: str | None = None
    form: Literal["one", "repeated", "commas"] = "one"
    resumable: bool = False


def _texts(values: Any) -> Any:
    """TOML may list categories by number."""
    if not isinstance(values, list | tuple):
        return values
    return tuple(str(value) if isinstance(value, int) else value for value in values)


FILES = ("data", "reader_prompt", "judge_prompt")
"""The settings that name files which a run needs again when it is resumed. The files may move: their hashes are compared."""
GivenSettings = Mapping[str, object]
"""Settings by name as a user gave them, before they are checked."""
Variant = dict[str, registry.SettingValue]
"""A backend's name under "backend", and the settings in which the variant differs from it."""
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Positive = Annotated[int, Field(ge=1)]
_IF_ENVIRONMENT = "default: llm if OPENAI_API_KEY or OPENAI_BASE_URL is set, else offline"


class Settings(BaseModel):
    """One run. None means not set: a role's own model and endpoint, a limit, the benchmark's own budget.

    `reader` and `judge`: `auto` is `llm` if the environment names a key or an endpoint. `options` holds
    `--set NAME.KEY=VALUE` as {"NAME.KEY": "VALUE"}. `variants` maps a label to a backend ("backend") and to settings of its
    own, which override `options`. `reference`: the label that `compare` pairs the others with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Annotated[
        str,
        Setting(
            "data",
            "the dataset; see 'datasets list' (default: what --data holds, else locomo, else synthetic)",
            "NAME",
            resumable=True,
        ),
    ] = "auto"
    data: Annotated[
        str | None,
        Setting(
            "data",
            "the dataset's file (default: the file or folder that ENGRAM_EVAL_DATA names)",
            "FILE",
            resumable=True,
        ),
    ] = None
    categories: Annotated[
        Texts | None,
        Setting("data", "only these categories, by name or number (default: all)", "A,B", form="commas"),
    ] = None
    skip_bad_records: Annotated[
        bool,
        Setting(
            "data", "leave out records of the dataset that cannot be read, and count them", flag="--skip-bad-records"
        ),
    ] = False
    backends: Annotated[
        Texts,
        Setting(
            "run",
            "a memory backend, worker:COMMAND, the URL of a memory, or a variant of the experiment file; can be repeated; "
            "see 'backends'",
            "NAME[:PRESET]",
            "--backend",
            "repeated",
        ),
    ] = ("engram", "full-history", "bm25", "dense")
    variants: Annotated[dict[str, Variant], Setting("file")] = Field(default_factory=dict)
    reference: Annotated[str | None, Setting("file")] = None
    controls: Annotated[
        bool, Setting("run", "leave out the floor (none) and the ceiling (oracle)", flag="--no-controls")
    ] = True
    encoding: Annotated[
        str | None,
        Setting(
            "run",
            "the tokenizer that counts context tokens (default: the reader's model's; o200k_base if unknown)",
            "NAME",
        ),
    ] = None
    budget: Annotated[
        Positive | None,
        Setting("run", "context tokens a memory may use (default: the benchmark's; LoCoMo 916, LongMemEval 1200)", "N"),
    ] = None
    window: Annotated[
        Positive | None,
        Setting(
            "run",
            "context tokens that the llm reader takes (default: what its server has room for, 126000 at most)",
            "N",
        ),
    ] = None
    limit: Annotated[Positive | None, Setting("run", "ask a random sample of N questions (default: all)", "N")] = None
    seed: Annotated[
        int, Field(ge=0), Setting("run", "seed of the question sample and of the bootstrap (default: 0)", "S")
    ] = 0
    published: Annotated[
        bool,
        Setting(
            "run",
            "add the published figures to the result, like 'compare --published'",
            flag="--published",
            resumable=True,
        ),
    ] = False
    memory_timeout: Annotated[
        float,
        Field(gt=0, allow_inf_nan=False),
        Setting("run", "seconds that one call of a memory may take (default: 600)", "S", resumable=True),
    ] = 600.0
    options: Annotated[
        dict[str, str],
        Setting(
            "run", "a setting of a backend or of the dataset; can be repeated", "NAME.KEY=VALUE", "--set", "repeated"
        ),
    ] = Field(default_factory=dict)
    reader: Annotated[
        str,
        Setting("reader", f"offline, llm, or llm:engram: the ENGRAM paper's answer prompt ({_IF_ENVIRONMENT})", "NAME"),
    ] = "auto"
    judge: Annotated[str, Setting("judge", f"offline, llm, or on LoCoMo llm:strict ({_IF_ENVIRONMENT})", "NAME")] = (
        "auto"
    )
    reader_prompt: Annotated[
        str | None,
        Setting(
            "reader", "a prompt of your own for the llm reader, text or TOML (docs/prompts.md)", "FILE", resumable=True
        ),
    ] = None
    judge_prompt: Annotated[
        str | None,
        Setting(
            "judge", "a prompt of your own for the llm judge, text or TOML (docs/prompts.md)", "FILE", resumable=True
        ),
    ] = None
    judge_votes: Annotated[Positive, Setting("judge", "verdicts per answer; the majority counts (default: 1)", "N")] = 1
    judge_probe: Annotated[
        bool,
        Setting("judge", "measure the llm judge by answers with a known verdict: up to 48 more calls", flag="--probe"),
    ] = False
    embedder: Annotated[
        str,
        Setting("embedder", "static, minilm, or openai:MODEL at an endpoint (default: static)", "NAME"),
    ] = "static"
    model: Annotated[
        str | None,
        Setting("models", "the model of all roles (default: gpt-4o-mini, or the endpoint's only model)", "NAME"),
    ] = None
    base_url: Annotated[
        str | None,
        Setting("models", "an OpenAI-compatible endpoint (default: $OPENAI_BASE_URL, else OpenAI's own)", "URL"),
    ] = None
    reader_model: Annotated[str | None, Setting("reader", "the reader's model, if different", "NAME")] = None
    judge_model: Annotated[str | None, Setting("judge", "the judge's model, if different", "NAME")] = None
    router_model: Annotated[
        str | None, Setting("router", "the router's and extractor's model, if different", "NAME")
    ] = None
    reader_base_url: Annotated[
        str | None, Setting("reader", "the reader's endpoint, if different; its key is in READER_API_KEY", "URL")
    ] = None
    judge_base_url: Annotated[
        str | None, Setting("judge", "the judge's endpoint, if different; its key is in JUDGE_API_KEY", "URL")
    ] = None
    router_base_url: Annotated[
        str | None, Setting("router", "the router's endpoint, if different; its key is in ROUTER_API_KEY", "URL")
    ] = None
    embedder_base_url: Annotated[
        str | None, Setting("embedder", "the embedder's endpoint, if different; its key is in EMBEDDER_API_KEY", "URL")
    ] = None
    max_cost: Annotated[
        float | None, Setting("models", "stop before the run has cost more than this", "USD", resumable=True)
    ] = None
    prices: Annotated[
        str | None,
        Setting("models", "prices that override engram_eval/llm/cost/prices.toml", "FILE.toml", resumable=True),
    ] = None
    reader_max_tokens: Annotated[
        Positive | None, Setting("reader", "tokens of an answer, besides a model's reasoning (default: 512)", "N")
    ] = None
    judge_max_tokens: Annotated[
        Positive | None, Setting("judge", "tokens of a verdict, besides a model's reasoning (default: 512)", "N")
    ] = None
    router_max_tokens: Annotated[
        Positive | None,
        Setting("router", "tokens of a reply of router and extractor (default: from the number of turns)", "N"),
    ] = None
    max_in_flight: Annotated[
        Positive | None,
        Setting(
            "models",
            "calls in flight at a time (default: 16; a server on this machine: as many as it says, else 1)",
            "N",
            resumable=True,
        ),
    ] = None
    requests_per_minute: Annotated[
        Positive | None, Setting("models", "limit at each endpoint (default: none)", "N", resumable=True)
    ] = None
    tokens_per_minute: Annotated[
        Positive | None, Setting("models", "limit at each endpoint (default: none)", "N", resumable=True)
    ] = None
    timeout: Annotated[
        float, Setting("models", "seconds for one attempt at a call (default: 120)", "S", resumable=True)
    ] = 120.0
    refresh: Annotated[
        Texts,
        Setting(
            "models",
            "ask again for what the cache holds of this role; can be repeated",
            "ROLE",
            form="repeated",
            resumable=True,
        ),
    ] = ()
    replay: Annotated[bool, Setting("models", "use cached answers only; make no calls", resumable=True)] = False

    def labels(self) -> list[str]:
        """The backends in the order of the table: floor, memories, ceiling."""
        floor, ceiling = CONTROLS
        named = [floor, *self.backends, ceiling] if self.controls else self.backends
        return list(dict.fromkeys(named))

    def backend_of(self, label: str) -> str:
        """The backend behind a label: a variant's, or the label itself."""
        variant = self.variants.get(label)
        return str(variant["backend"]) if variant else label

    def own_settings_of(self, label: str) -> Variant:
        """The settings in which a variant differs from its backend."""
        return {key: value for key, value in self.variants.get(label, {}).items() if key != "backend"}

    def with_label(self, address: str, label: str) -> Self:
        """The same settings, in which a memory that was named by its address has a label."""
        backends = tuple(label if name == address else name for name in self.backends)
        reference = label if self.reference == address else self.reference
        variants = {**self.variants, label: {"backend": address}}
        return self.replace(backends=backends, reference=reference, variants=variants)

    def uses_llm(self) -> bool:
        """Whether the reader or the judge is `llm`."""
        return self.reader_is_llm() or self.judge_is_llm()

    def reader_is_llm(self) -> bool:
        return self.reader.partition(":")[0] == "llm"

    def judge_is_llm(self) -> bool:
        return self.judge.partition(":")[0] == "llm"

    def options_of(self, name: str) -> dict[str, str]:
        """The settings that `--set` gives to one backend, or to the dataset."""
        return {key.rpartition(".")[2]: value for key, value in self.options.items() if key.rpartition(".")[0] == name}

    def to_json(self) -> dict[str, JsonValue]:
        """As JSON values, in text that can always be encoded."""
        values: dict[str, JsonValue] = _to_json(self.model_dump())
        return values

    def replace(self, **values: Any) -> Self:
        """The same settings with other values, which are not checked again."""
        return self.model_copy(update=values)


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {encodable(name): _to_json(inner) for name, inner in value.items()}
    return [_to_json(inner) for inner in value] if isinstance(value, tuple | list) else encodable(value)


def declared() -> dict[str, Setting]:
    """Each setting's declaration, by field name."""
    return {
        name: next(part for part in field.metadata if isinstance(part, Setting))
        for name, field in Settings.model_fields.items()
    }


def from_mapping(values: GivenSettings, where: str) -> Settings:
    """Settings from JSON or TOML values. Raises UserError, naming `where`, for unknown keys and wrong values."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: the settings are not an object; start a new run")
    for key in values:
        if key not in Settings.model_fields:
            raise UserError(
                f"{where}: there is no setting {key!r}; the settings are {', '.join(Settings.model_fields)}"
            )
    clean = {key: value for key, value in values.items() if value is not None}
    options = clean.get("options")
    if isinstance(options, dict):
        clean["options"] = {name: str(value) for name, value in _flat(options).items()}
    variants = clean.get("variants")
    if isinstance(variants, dict):  # typed by the backends' own settings
        clean["variants"] = {}
    settings = validate(Settings, clean, where=where, fix="correct it or leave it out")
    if isinstance(variants, dict):
        settings = settings.replace(variants={name: _variant(name, table, where) for name, table in variants.items()})
    _check(settings, where)
    return settings


def _check(settings: Settings, where: str) -> None:
    """Raises UserError for values that are wrong together."""
    if settings.judge_votes % 2 == 0:
        raise UserError(f"{where}: judge_votes = {settings.judge_votes} may end in a tie; name an odd number")
    for key in ("data", "categories"):
        if not getattr(settings, key) and getattr(settings, key) is not None:
            raise UserError(f"{where}: {key} is empty; give it a value or leave it out")
    if not settings.labels():
        raise UserError(f"{where}: backends is empty; name at least one")
    for name in settings.variants:
        if name not in settings.backends:
            raise UserError(f"{where}: backends does not name the variant {name!r}; name it there or leave it out")
    if settings.reference is not None and settings.reference not in settings.labels():
        raise UserError(
            f"{where}: reference = {settings.reference!r} is not one of the backends; name one of "
            f"{', '.join(settings.labels())}"
        )


def _variant(name: str, table: object, where: str) -> Variant:
    """A variant's table, with its values checked by the types of the backend's settings."""
    where = f"{where}: variants.{name!r}"
    if not isinstance(table, dict) or not isinstance(table.get("backend"), str):
        raise UserError(f'{where}: is not a table with a backend, as in backend = "engram"')
    if not name:
        raise UserError(f"{where}: has no name; give the variant one")
    if name.partition(":")[0] in registry.names("backends"):
        raise UserError(f"{where}: is the name of a backend; give the variant another")
    own = {key: value for key, value in table.items() if key != "backend"}
    return {"backend": table["backend"], **registry.typed_settings(table["backend"], own, where)}


def from_file(path: Path) -> dict[str, object]:
    """The values of an experiment file (TOML), or those in the `manifest.json` of a run.

    A relative path is relative to the file's own folder.
    """
    is_manifest = path.suffix == ".json"
    text = read_text(path, fix="name an experiment file such as benchmarks/default.toml")
    try:
        values = json.loads(text) if is_manifest else tomllib.loads(text)
        if is_manifest:
            if values["reader"]["name"] == "recorded":
                raise UserError(f"{path}: holds graded answers, not memories to run; see 'engram-eval judge --help'")
            values = {name: value for name, value in values["settings"].items() if value is not None}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = "not the manifest of a run" if is_manifest else f"not TOML ({error}); see benchmarks/ for examples"
        raise UserError(f"{path}: {what}") from None
    for key in FILES:
        if isinstance(file := values.get(key), str):
            values[key] = str(path.parent / file)
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
    """What differs between two settings, in words, apart from what a resumed run may change.

    The places of the data and of prompts may change: their hashes are compared.
    """
    return [
        f"{name} was {getattr(old, name)!r} and is {getattr(new, name)!r}"
        for name, setting in declared().items()
        if not setting.resumable and getattr(old, name) != getattr(new, name)
    ]


def _flat(tables: Mapping[str, object]) -> dict[str, object]:
    """{"engram": {"k": 20}} becomes {"engram.k": 20}."""
    flat: dict[str, object] = {}
    for key, value in tables.items():
        flat |= (
            {f"{key}.{inner}": deeper for inner, deeper in value.items()} if isinstance(value, dict) else {key: value}
        )
    return flat
