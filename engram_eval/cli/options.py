"""Flags made from the settings of a run: a flag's destination is the setting that it sets."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from typing import Any, get_args

from pydantic.fields import FieldInfo

from engram_eval.cli.command import positive
from engram_eval.run.settings import Group, Setting, Settings, declared, parse_options


def add_settings(
    parser: argparse.ArgumentParser,
    groups: Collection[Group],
    *,
    also: Collection[str] = (),
    without: Collection[str] = (),
) -> None:
    """Adds the flags of these groups, with single settings added or left out. A flag that is not given is None."""
    models = parser.add_argument_group("models")
    for name, setting in declared().items():
        if (setting.group in groups or name in also) and name not in without:
            add = parser.add_argument if setting.group in ("data", "run") else models.add_argument
            flag = setting.flag or f"--{name.replace('_', '-')}"
            add(flag, dest=name, help=setting.help, **_arguments(setting, Settings.model_fields[name]))


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags; absent ones override nothing."""
    values = {
        name: value for name in Settings.model_fields if (value := getattr(options, name, None)) is not None
    }  # fmt: skip
    if values.get("options"):
        values["options"] = parse_options(values["options"])
    return values


def _arguments(setting: Setting, field: FieldInfo) -> dict[str, Any]:
    """How argparse reads the flag of a setting."""
    if field.annotation is bool:
        return {"action": "store_const", "const": not field.default}
    if setting.form == "repeated":
        return {"action": "append", "metavar": setting.metavar}
    return {"type": _commas if setting.form == "commas" else _parser_of(field), "metavar": setting.metavar}


def _parser_of(field: FieldInfo) -> Callable[[str], Any]:
    """int, float, str, or a whole number from 1."""
    kinds = {str(kind): kind for kind in (field.annotation, *get_args(field.annotation))}
    if any("ge=1" in text for text in (*kinds, *map(str, field.metadata))):
        return positive
    return next((kind for kind in (int, float) if str(kind) in kinds), str)


def _commas(text: str) -> list[str]:
    return [part for part in text.replace(" ", "").split(",") if part]
