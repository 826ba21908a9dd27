"""A run's manifest: where it came from, and whether a resumed run is still the same one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engram_eval import __version__
from engram_eval.errors import UserError
from engram_eval.results.manifest import Experiment, Manifest
from engram_eval.run.settings import Settings, differences, from_file, from_mapping


def new_settings(experiment: Path | None, given: Mapping[str, Any]) -> Settings:
    """Flags over the experiment file over the defaults."""
    values = from_file(experiment) if experiment else {}
    merged = _over(values, given)
    if "options" in given and isinstance(values.get("options"), dict):
        # Both levels flat, so that --set engram.k=20 overrides k and leaves the file's other settings of engram.
        merged["options"] = {
            **from_mapping({"options": values["options"]}, str(experiment)).options,
            **given["options"],
        }
    if merged.get("data"):
        merged["data"] = str(Path(str(merged["data"])).expanduser().absolute())  # a run may be resumed from elsewhere
    return from_mapping(merged, str(experiment) if experiment else "command line")


def _over(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given over the values; what these say of backends that are not chosen is of no account."""
    merged = {**values, **given}
    if "backends" in given:
        variants = values.get("variants")
        if isinstance(variants, dict):
            merged["variants"] = {name: of for name, of in variants.items() if name in given["backends"]}
        if values.get("reference") not in given["backends"]:
            merged.pop("reference", None)
    return merged


def resumed_settings(manifest: Manifest, run: Path, given: Mapping[str, Any]) -> Settings:
    """The settings of the run itself; its data may have moved. Raises UserError if other flags differ from them."""
    begun = {
        **manifest.settings,
        "replay": False,
    }  # a replay that is resumed may go on for real, and the other way round
    stored = from_mapping(begun, str(run / "manifest.json"))
    wanted = from_mapping(_over(begun, given), "command line")
    if changed := differences(stored, wanted):
        raise UserError(
            f"{run}: cannot be resumed with other settings: {'; '.join(changed)}; start a new run for these"
        )
    return wanted


def refuse_other_run(manifest: Manifest, now: Experiment, run: Path) -> None:
    """Raises UserError if what would be run is not what the manifest says was begun."""
    changed = []
    if manifest.engram_eval != __version__:
        changed = [f"engram_eval was {manifest.engram_eval} and is {__version__}"]
    before, after = manifest.to_json(), now.to_json()
    for part in ("dataset", "backends", "reader", "judge", "embedder", "models", "token_encoding", "budget", "prompts"):
        if (old := _identity(before[part])) != (new := _identity(after[part])):
            changed.append(_change(part, old, new))
    if changed:
        raise UserError(
            f"{run}: cannot be resumed, it would mix two experiments: {'; '.join(changed)}; start a new run"
        )


def _identity(part: Any) -> Any:
    """A part of the manifest without what says only where its data was found."""
    return {key: value for key, value in part.items() if key != "origin"} if isinstance(part, dict) else part


def _change(part: str, old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
        return f"{part}: " + ", ".join(
            f"{key} was {str(old.get(key))[:80]} and is {str(new.get(key))[:80]}" for key in keys
        )
    return f"{part} was {old} and is {new}"
