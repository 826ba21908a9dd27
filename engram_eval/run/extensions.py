"""Backends, readers, judges and embedders of a run, from their names or from the objects given in place of names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from engram_eval import registry
from engram_eval.backends.backend import MemoryBackend
from engram_eval.backends.remote.memory import RemoteBackend
from engram_eval.embedders.embedder import Embedder
from engram_eval.errors import UserError
from engram_eval.judges.judge import Judge
from engram_eval.readers.reader import Reader
from engram_eval.registry import is_address
from engram_eval.run.settings import Settings
from engram_eval.services import RoleServices


@dataclass(frozen=True, slots=True)
class Extensions:
    """Objects given in place of names. A reader or judge may be an instance, a class or a function of the services."""

    backends: Mapping[str, Any] = field(default_factory=dict)
    """By label."""
    reader: Any = None
    judge: Any = None
    embedder: Embedder | None = None


@dataclass(frozen=True, slots=True)
class _Named:
    """Something that settings name, and that `--set NAME.KEY=VALUE` may reach."""

    kind: registry.Kind
    label: str
    name: str


class Opener:
    """Makes what the settings name."""

    def __init__(self, settings: Settings, extensions: Extensions) -> None:
        self._settings, self._extensions = settings, extensions

    @property
    def settings(self) -> Settings:
        """The settings, in which memories elsewhere have their labels once `backends` has reached them."""
        return self._settings

    def backends(self) -> dict[str, MemoryBackend]:
        """By label. Memories elsewhere are asked what they are, and an address in place of a label becomes one."""
        remote = self._reach_addresses()
        return {label: remote.get(label) or self._backend(label) for label in self._settings.labels()}

    def _reach_addresses(self) -> dict[str, RemoteBackend]:
        given = {
            label: address
            for label in self._settings.labels()
            if label not in self._extensions.backends and is_address(address := self._settings.backend_of(label))
        }
        if not given:
            return {}
        from engram_eval.run import addresses  # which imports what only they need

        addresses.refuse_shared_key(given.values())
        remote: dict[str, RemoteBackend] = {}
        for label, address in given.items():
            backend = addresses.reach(address, self._settings.memory_timeout)
            if is_address(label):
                taken = [other for other in self._settings.labels() if other != label]
                new = addresses.label_of(backend, taken)
                self._settings = self._settings.with_label(label, new)
                label = new
            remote[label] = backend
        return {
            label: addresses.with_settings(
                label, backend, {**self._settings.options_of(label), **self._settings.own_settings_of(label)}
            )
            for label, backend in remote.items()
        }

    def _backend(self, label: str) -> MemoryBackend:
        if label in self._extensions.backends:
            backend = self._extensions.backends[label]
            if isinstance(backend, type):
                try:
                    backend = backend()
                except Exception as error:
                    raise UserError(f"backend {label!r} cannot be made ({type(error).__name__}: {error})") from error
            return cast(MemoryBackend, registry.require_backend(label, backend))
        name = self._settings.backend_of(label)
        own = self._settings.own_settings_of(label)
        try:
            return cast(MemoryBackend, registry.open_backend(name, self._overrides("backends", name), own))
        except UserError as error:
            text = f"variant {label!r}: {error}" if label in self._settings.variants else str(error)
            raise UserError(text) from error

    def reader(self, services: RoleServices) -> Reader:
        return cast(Reader, self._role("readers", self._settings.reader, self._extensions.reader, "answer", services))

    def judge(self, services: RoleServices) -> Judge:
        return cast(Judge, self._role("judges", self._settings.judge, self._extensions.judge, "judge", services))

    def _role(
        self, kind: Literal["readers", "judges"], label: str, given: Any, method: str, services: RoleServices
    ) -> Any:
        if given is None:
            return registry.make_role(kind, label, services, self._overrides(kind, label))
        if isinstance(given, type) or not hasattr(given, method):
            return registry.make_role(kind, label, services, {}, given)
        return registry.require_role(kind, label, given)

    def roles_ask(self, *, reader: bool) -> bool:
        """Whether the judge, or the reader if there is one, calls a model."""
        return self.asks_model("judges") or (reader and self.asks_model("readers"))

    def asks_model(self, kind: Literal["readers", "judges"]) -> bool:
        """Whether the reader or judge sets `asks_model`."""
        label, given = {
            "readers": (self._settings.reader, self._extensions.reader),
            "judges": (self._settings.judge, self._extensions.judge),
        }[kind]
        if given is None and label != "auto":
            given = registry.resolve(kind, registry.base_name(kind, label))
        return bool(getattr(given, "asks_model", False))

    def refuse_unknown_options(self) -> None:
        """Raises UserError for `--set NAME.KEY=VALUE` where nothing has that name."""
        known = {named.name for named in self._all_named()} | {"dataset"}
        in_full = {registry.base_name(named.kind, named.label) for named in self._all_named()}
        if "degraded" in known:
            known.add("engram")
        for key in self._settings.options:
            if key.rpartition(".")[0] not in known | in_full:
                raise UserError(f"--set {key}: names none of {', '.join(sorted(known))}; as in --set engram.k=20")

    def _overrides(self, kind: registry.Kind, label: str) -> dict[str, str]:
        """What `--set` gives to one backend, reader or judge.

        Several may share a name, such as those of one module: each gets the settings that it has, and the first of them
        the unknown ones, which it refuses. `degraded` is engram without some of its records, so engram's settings apply.
        """
        named = self._named(kind, label)
        in_full = self._settings.options_of(registry.base_name(kind, label))
        options = {**self._settings.options_of(named.name), **in_full}
        namesakes = [other for other in self._all_named() if other.name == named.name]
        if len(namesakes) > 1:
            own = registry.setting_names(kind, label)
            all_known = set().union(*(registry.setting_names(other.kind, other.label) for other in namesakes))
            is_first = named == namesakes[0]
            options = {key: text for key, text in options.items() if key in own or (is_first and key not in all_known)}
        return {**self._settings.options_of("engram"), **options} if named.name == "degraded" else options

    def _all_named(self) -> list[_Named]:
        settings = self._settings
        labels = [label for label in settings.labels() if label not in self._extensions.backends]
        named = [
            _Named("backends", label, label)
            if is_address(settings.backend_of(label))
            else self._named("backends", settings.backend_of(label))
            for label in labels
        ]
        named += [self._named("readers", settings.reader)] if self._extensions.reader is None else []
        named += [self._named("judges", settings.judge)] if self._extensions.judge is None else []
        return list(dict.fromkeys(named))

    @staticmethod
    def _named(kind: registry.Kind, label: str) -> _Named:
        """By its name, and one of somebody's own by that of its class: `package.module:Class`, as in --set Class.k=20."""
        name = registry.base_name(kind, label)
        return _Named(kind, label, name.partition(":")[2] or name)
