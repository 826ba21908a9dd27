"""Backends named by an address: memories elsewhere, which are asked what they are before the run, and may tell a name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping

from engram_eval import registry
from engram_eval.backends.remote.http import HttpDoor, refuse_shared_key
from engram_eval.backends.remote.memory import Door, RemoteBackend
from engram_eval.backends.remote.protocol import Info, RemoteError
from engram_eval.backends.remote.worker import SCHEME, WorkerDoor
from engram_eval.errors import UserError
from engram_eval.registry import SettingValue
from engram_eval.system.event_loop import run_to_end

__all__ = ["label_of", "reach", "refuse_shared_key", "with_settings"]

_NAME = re.compile(r"\w[\w .+-]{0,39}")


def reach(address: str, timeout_s: float) -> RemoteBackend:
    """The memory at an address, without settings. Raises UserError if there is none, or if it does not say what it is."""
    door: Door = WorkerDoor(address) if address.startswith(SCHEME) else HttpDoor(address)

    async def info() -> Info:
        async with asyncio.timeout(timeout_s):
            return await door.info()

    try:
        return RemoteBackend(door, run_to_end(info()), {})
    except RemoteError as error:
        subject = "" if address in str(error) else f"{address!r}: "
        raise UserError(f"backend {subject}{error}") from None
    except TimeoutError:
        raise UserError(
            f"backend {address!r} did not answer 'info' within {timeout_s:g} s; correct it, or raise --memory-timeout"
        ) from None


def label_of(backend: RemoteBackend, taken: Collection[str]) -> str:
    """What tables call it: the name that it tells, else one made from its address; with a number if that is taken.

    It cannot take a name by which `--set` finds something of this package.
    """
    name = backend.info.name or ""
    label = name if _NAME.fullmatch(name) and name not in _reserved() else backend.door.label
    number, candidate = 1, label
    while candidate in taken:
        number += 1
        candidate = f"{label}-{number}"
    return candidate


def _reserved() -> set[str]:
    kinds: tuple[registry.Kind, ...] = ("backends", "readers", "judges")
    return {"dataset", *(name for kind in kinds for name in registry.names(kind))}


def with_settings(label: str, backend: RemoteBackend, settings: Mapping[str, SettingValue]) -> RemoteBackend:
    """The backend with settings to pass on. Raises UserError for one that it does not have."""
    known = backend.info.settings
    for key in settings:
        if known is not None and key not in known:
            all_known = f"its settings are {', '.join(known)}" if known else "it has no settings"
            raise UserError(f"--set {label}.{key}: backend {label!r} has no setting {key!r}; {all_known}")
    return RemoteBackend(backend.door, backend.info, dict(settings))
