"""Flags that several commands share, and what was given of them. A flag's destination is the setting that it sets."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import fields
from typing import Any

from engram_eval.cli.command import positive
from engram_eval.run.settings import Settings, parse_options

_MODEL_OF = {"reader": "the reader's", "judge": "the judge's", "router": "the router's and extractor's"}


def add_data(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--dataset", metavar="NAME", help="default: what --data holds, else locomo, else synthetic; see 'datasets list'"
    )
    add("--data", metavar="FILE", help="the dataset's file (also: a file or folder in ENGRAM_EVAL_DATA)")
    add("--categories", type=_parts, metavar="A,B", help="only these, by name or number (all)")


def add_models(parser: argparse.ArgumentParser, roles: Collection[str]) -> None:
    """Whom the roles ask, within which limits, for how much money. All are None where they are not given."""
    add = parser.add_argument_group("models").add_argument
    unset = "llm if OPENAI_API_KEY or OPENAI_BASE_URL is set"
    if "reader" in roles:
        add("--reader", metavar="NAME", help=f"who answers: offline or llm ({unset})")
    if "judge" in roles:
        add("--judge", metavar="NAME", help=f"who grades: offline, llm, or on LoCoMo llm:strict ({unset})")
        add("--judge-votes", type=positive, metavar="N", help="verdicts per answer, of which the majority counts (1)")
    add(
        "--model", metavar="NAME", help="the model of all roles (gpt-4o-mini, or the only one that the endpoint serves)"
    )
    add("--base-url", metavar="URL", help="an OpenAI-compatible endpoint ($OPENAI_BASE_URL, else OpenAI's own)")
    for role in roles:
        if role in _MODEL_OF:
            add(f"--{role}-model", metavar="NAME", help=f"{_MODEL_OF[role]} model, if it is another")
    for role in roles:
        key = f"{role.upper()}_API_KEY"
        add(f"--{role}-base-url", metavar="URL", help=f"the {role}'s endpoint, if it is another; its key in {key}")
    add("--max-cost", type=float, metavar="USD", help="stop before more than this has been spent")
    add("--prices", metavar="FILE.toml", help="prices that come before engram_eval/llm/cost/prices.toml")
    add("--max-in-flight", type=positive, metavar="N", help="calls under way at a time (16)")
    add("--requests-per-minute", type=positive, metavar="N", help="at each endpoint (no limit)")
    add("--tokens-per-minute", type=positive, metavar="N", help="at each endpoint (no limit)")
    add("--timeout", type=float, metavar="S", help="seconds for one attempt at a call (120)")
    add(
        "--replay", action="store_const", const=True,
        help="answer from the cache of earlier calls alone; call nobody",
    )  # fmt: skip


def add_probe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-probe", action="store_const", const=False, dest="judge_probe",
        help="do not measure the llm judge by answers whose verdict is known",
    )  # fmt: skip


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags; what was not given is absent, so that it overrides nothing."""
    names = [field.name for field in fields(Settings)]
    found = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    if found.get("options"):
        found["options"] = parse_options(found["options"])
    return found


def _parts(text: str) -> list[str]:
    return [part for part in text.replace(" ", "").split(",") if part]
