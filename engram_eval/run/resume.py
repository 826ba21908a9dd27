"""The settings of new and resumed runs, and whether a resumed run is still the same experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engram_eval import __version__
from engram_eval.errors import UserError
from engram_eval.registry import is_address
from engram_eval.results.manifest import Experiment, Manifest
from engram_eval.run.settings import FILES, GivenSettings, Settings, differences, from_file, from_mapping


def new_settings(experiment: Path | None, given: GivenSettings) -> Settings:
    """The given settings, over those of the experiment file, over the defaults."""
    values = from_file(experiment) if experiment else {}
    merged = _over(values, given)
    file_options, given_options = values.get("options"), given.get("options")
    if isinstance(file_options, dict) and isinstance(given_options, dict):
        # Flattened first, so that --set engram.k=20 overrides only k in the file's settings of engram.
        flat_options = from_mapping({"options": file_options}, str(experiment)).options
        merged["options"] = {**flat_options, **given_options}
    for key in FILES:
        if merged.get(key):
            merged[key] = str(Path(str(merged[key])).expanduser().absolute())  # a run may be resumed from elsewhere
    return from_mapping(merged, str(experiment) if experiment else "command line")


def _over(values: GivenSettings, given: GivenSettings) -> dict[str, object]:
    """The given settings over the values, without settings of backends that are not chosen."""
    merged = {**values, **given}
    backends = given.get("backends")
    if isinstance(backends, list | tuple):
        variants, given_variants = values.get("variants"), given.get("variants", {})
        if isinstance(variants, dict) and isinstance(given_variants, dict):
            kept = {name: table for name, table in variants.items() if name in backends}
            merged["variants"] = {**kept, **given_variants}
        if values.get("reference") not in backends:
            merged.pop("reference", None)
    return merged


def resumed_settings(manifest: Manifest, run: Path, given: GivenSettings) -> Settings:
    """The settings of the run, whose data may have moved. Raises UserError if given settings differ from them."""
    begun = {**manifest.settings, "replay": False}  # a replay may be resumed with calls, and the other way round
    stored = from_mapping(begun, str(run / "manifest.json"))
    resumed = from_mapping(_over(begun, _with_labels(given, stored)), "command line")
    if changed := differences(stored, resumed):
        raise UserError(
            f"{run}: cannot be resumed with other settings: {'; '.join(changed)}; start a new run for these"
        )
    return resumed


def _with_labels(given: GivenSettings, stored: Settings) -> GivenSettings:
    """The given settings, in which memories elsewhere have the labels that the run gave to their addresses."""
    backends = given.get("backends")
    if not isinstance(backends, list | tuple):
        return given
    labels = {variant["backend"]: label for label, variant in stored.variants.items() if len(variant) == 1}
    return {**given, "backends": [labels.get(name, name) if is_address(str(name)) else name for name in backends]}


def refuse_other_run(manifest: Manifest, now: Experiment, run: Path) -> None:
    """Raises UserError if the experiment is not the one that the manifest describes."""
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
    """A part of the manifest without the names of files, whose hashes are compared, and how servers call their models."""
    if not isinstance(part, dict):
        return part
    return {key: _identity(value) for key, value in part.items() if key not in ("origin", "prompt_file", "served")}


def _change(part: str, old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
        return f"{part}: " + ", ".join(
            f"{key} was {str(old.get(key))[:80]} and is {str(new.get(key))[:80]}" for key in keys
        )
    return f"{part} was {old} and is {new}"
